"""Words: the texts of the Open Container Initiative and the settings of a container, as values.

Nothing here does input or output. `runtime` is the OCI runtime config, `container` what a user wants of a
container, `image`, `descriptor`, `digest`, `reference` and `platform` speak of images, `mount` is one mount.
Docker's response shapes live next door in `wire`.
"""
