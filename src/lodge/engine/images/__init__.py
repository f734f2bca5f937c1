"""Images as people see them: names, ids, what may be removed. Blobs and layers are the store's.

`catalog` finds an image by whatever people write; `removal` decides what goes; `transfer` brings in and takes
out; `facade` is for whoever calls the engine. An image's id is the digest of its config, as in Docker.
"""
