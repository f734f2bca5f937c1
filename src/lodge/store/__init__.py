"""Images and what containers write: blobs, unpacked layers, snapshots, names, and their collection.

`Store` puts the parts together. The code blocks and is safe to call from many threads. It answers with
values: mounts are described here and performed by the runtime. May touch: its own directory. Neighbours:
`distribution` brings blobs here from registries, `volume` keeps what outlives containers; neither is
imported.
"""

from lodge.store.store import Store

__all__ = ["Store"]
