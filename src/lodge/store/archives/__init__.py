"""Images in and out as archives.

`load` reads docker-archives and OCI layouts (what their documents mean is in `documents`), `save` writes
one that is both, `build` makes new images of one more layer (import, commit). `Archives` is what
`Store.archives` is.
"""
