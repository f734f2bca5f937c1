"""Files of a build by descriptors: what a COPY selects, what a selection's content is, putting it in place.

Looks through a `View`, which is declared here and fulfilled by the store: layers on each other, or a plain
directory. Nothing is ever opened by a path that a Dockerfile, a context or an image could bend.
"""
