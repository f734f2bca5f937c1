"""The store of one root directory, put together.

    <root>/content     an OCI image layout: oci-layout, index.json, blobs/, and ingest/ for what is on its way
    <root>/layers      unpacked layers, <chain hex>/fs          <root>/l      short names of them
    <root>/snapshots   <key>/{upper,work,parent}                <root>/empty  the root of no layers
    <root>/trash       on its way out                           <root>/pending  markers, see `durability`

One process owns a root at a time (a lock on `store.lock`). Nobody but root may look inside (CVE-2021-41091).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from lodge.errors import Conflict, InvalidArgument
from lodge.spec.digest import Digest
from lodge.store.archives.archives import Archives
from lodge.store.content import Content
from lodge.store.durability import Durability
from lodge.store.images import Images
from lodge.store.layers import Layers
from lodge.store.leases import Leases
from lodge.store.references import References
from lodge.store.snapshots.contract import Snapshotter
from lodge.store.snapshots.overlay import OverlaySnapshots
from lodge.store.trash import Trash

_AWKWARD = frozenset(":,\\\n\t ")


class Store:
    """Images and snapshots below one directory. Close it, or use it in a with-block."""

    content: Content
    references: References
    images: Images
    snapshots: Snapshotter
    archives: Archives

    def __init__(self, root: Path | str) -> None:
        self.root = os.path.abspath(root)
        if _AWKWARD & set(self.root):
            # Overlay's options are one text with these as separators; escaping differs between kernels.
            raise InvalidArgument(f"the data root {self.root!r} must not contain spaces, colons or commas")
        os.makedirs(self.root, mode=0o710, exist_ok=True)
        self._lock = self._own()
        self.leases = Leases()
        self.trash = Trash(os.path.join(self.root, "trash"))
        self._durability = Durability(os.path.join(self.root, "pending"))
        self.content = Content(os.path.join(self.root, "content"), self._durability, self.leases)
        self.references = References(os.path.join(self.root, "content"), self.leases)
        self.layers = Layers(self.root, self._durability, self.leases, self.trash)
        self.images = Images(self.content, self.layers, self.leases)
        self.snapshots = OverlaySnapshots(self.root, self.layers, self.leases, self.trash)
        self.archives = Archives(
            self.content, self.layers, self.images, self.references, self.leases, self.snapshots
        )
        self._recover()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the root back. Idempotent; what is in the background goes on with the next owner."""
        if self._lock >= 0:
            self._durability.close()
            self.trash.close()
            os.close(self._lock)
            self._lock = -1

    def _own(self) -> int:
        fd = os.open(os.path.join(self.root, "store.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise Conflict(
                f"the data root {self.root} is in use by another process",
                hint="stop it, or choose another root",
            ) from None
        return fd

    def _recover(self) -> None:
        """Bring order after a crash: half-made things go, what a loss of power may have hurt is checked."""
        for name in self._durability.suspects():
            kind, _, rest = name.partition(".")
            if kind == "layer":
                self.layers.remove(Digest(f"sha256:{rest}"))
            elif kind == "blob":
                digest = Digest(rest.replace(".", ":"))
                if not self.content.verify(digest):
                    self.content.delete(digest)
            self._durability.absolve(name)
        self.layers.recover()
        self.snapshots.recover()
        self.trash.empty()
