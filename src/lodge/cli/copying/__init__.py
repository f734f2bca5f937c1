"""Files between a container and this machine: the rules of `cp`, packing and unpacking on the user's side.

What comes out of a container is not trusted: names and links in its archive can never lead outside of the
place that the user named (`unpack`).
"""
