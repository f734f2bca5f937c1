"""From a wish to a plan: pure functions of the wish, the image, the settings and the facts of the host.

`checks` refuses what can't be, `merge` adds the image's part, `mount_wishes` reads binds and mounts, and
`launch` puts together what the runtime gets. Nothing here changes anything; what must be looked up on the
host (device numbers, the init's path) comes in through `host.HostFacts`.
"""
