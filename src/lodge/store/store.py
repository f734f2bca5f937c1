"""The store of one root directory, put together.

    <root>/content     an OCI image layout: oci-layout, index.json, blobs/, and ingest/ for what is on its way
    <root>/layers      unpacked layers, <chain hex>/fs          <root>/l      short names of them
    <root>/snapshots   <key>/{upper,work,parent}                <root>/empty  the root of no layers
    <root>/trash       on its way out                           <root>/pending  markers, see `durability`

One process owns a root at a time (a lock on `store.lock`). Nobody but root may look inside.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Self

from lodge.errors import Conflict, InvalidArgument
from lodge.kernel import overlay
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest
from lodge.store.archives.archives import Archives
from lodge.store.collect import Collector, Freed, Roots
from lodge.store.content import Content
from lodge.store.departure import Departure
from lodge.store.durability import Durability, replace_file
from lodge.store.host import make_host_image
from lodge.store.images import Images
from lodge.store.layers import Layers
from lodge.store.leases import Leases
from lodge.store.reception import Reception
from lodge.store.references import References
from lodge.store.snapshots.contract import Snapshotter
from lodge.store.snapshots.copying import CopyingSnapshots
from lodge.store.snapshots.overlay import OverlaySnapshots
from lodge.store.stacking import Stacking
from lodge.store.trash import Trash

_SNAPSHOTTERS: Final[dict[str, type[OverlaySnapshots | CopyingSnapshots]]] = {
    "overlay": OverlaySnapshots,
    "copy": CopyingSnapshots,
}
_AWKWARD: Final = frozenset(":,\\\n\t ")


class Store:
    """Images and snapshots below one directory. Close it, or use it in a with-block."""

    content: Content
    references: References
    images: Images
    snapshots: Snapshotter
    archives: Archives
    stacking: Stacking
    reception: Reception
    departure: Departure

    def __init__(self, root: Path | str, *, snapshotter: str | None = None) -> None:
        self.root = os.path.abspath(root)
        if _AWKWARD & set(self.root):
            # Overlay's options are one text with these as separators; escaping differs between kernels.
            raise InvalidArgument(f"the data root {self.root!r} must not contain spaces, colons or commas")
        os.makedirs(self.root, exist_ok=True)
        # Also when it was there: others must not reach the setuid files in layers (CVE-2021-41091).
        os.chmod(self.root, 0o710)
        self._lock = self._own()
        self.leases = Leases()
        self.trash = Trash(os.path.join(self.root, "trash"))
        self._durability = Durability(os.path.join(self.root, "pending"))
        self.content = Content(os.path.join(self.root, "content"), self._durability, self.leases)
        self.references = References(os.path.join(self.root, "content"), self.leases)
        user_xattrs = not _may_use_trusted_xattrs(self.root)
        self.layers = Layers(self.root, self._durability, self.leases, self.trash, user_xattrs=user_xattrs)
        self.images = Images(self.content, self.layers, self.leases)
        made = _SNAPSHOTTERS[self._choose(snapshotter, user_xattrs)]
        self.snapshots = made(self.root, self.layers, self.leases, self.trash, user_xattrs=user_xattrs)
        self.archives = Archives(
            self.content, self.layers, self.images, self.references, self.leases, self.snapshots
        )
        self.reception = Reception(self.content, self.layers, self.references)
        self.departure = Departure(self.content, self.images, self.references)
        self.stacking = Stacking(
            self.content, self.layers, self.snapshots, self.leases, user_xattrs=user_xattrs
        )
        self._collector = Collector(
            self.content, self.layers, self.images, self.references, self.snapshots, self.leases, self.trash
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

    def lease(self) -> AbstractContextManager[None]:
        """Hold a lease for a block: what is brought or found meanwhile is not collected before its end."""
        return self.leases.hold()

    def collect(self, roots: Roots | None = None) -> Freed:
        """Remove blobs and layers that nothing needs; `roots` adds what is needed. Safe beside everything."""
        return self._collector.collect(roots)

    def keep_layers(self, chains: Callable[[], Iterable[Digest]]) -> None:
        """Have the collector ask for further layers that are needed: those of a build's cache."""
        self._collector.also = chains

    def host_image(self) -> Descriptor:
        """Make, if it isn't there, the image of this machine's own root directory; see `host`."""
        with self.leases.hold():
            return make_host_image(self.content, self.layers, self.snapshots)

    def _choose(self, wanted: str | None, user_xattrs: bool) -> str:
        """Return the snapshotter: the one that the root has been used with, the one wanted, or what works."""
        record = os.path.join(self.root, "snapshotter")
        try:
            with open(record) as file:
                chosen = file.read().strip()
        except FileNotFoundError:
            extra = ("userxattr",) if user_xattrs else ()
            chosen = wanted or ("overlay" if overlay.supported(self.root, extra=extra) else "copy")
        if chosen not in _SNAPSHOTTERS or wanted not in (None, *_SNAPSHOTTERS):
            raise InvalidArgument(f"unknown snapshotter {wanted or chosen!r}", hint="overlay or copy")
        if wanted is not None and wanted != chosen:
            raise Conflict(f"the data root {self.root} has snapshots of the kind {chosen!r}, not {wanted!r}")
        if not os.path.exists(record):
            replace_file(record, chosen.encode())
        return chosen

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
        self.content.recover()
        self.layers.recover()
        self.snapshots.recover()
        self.trash.empty()


def _may_use_trusted_xattrs(directory: str) -> bool:
    """Whether overlay can keep its marks in `trusted.`; inside a user namespace it uses `user.` instead."""
    try:
        os.setxattr(directory, "trusted.lodge.probe", b"")
        os.removexattr(directory, "trusted.lodge.probe")
    except OSError:
        return False
    return True
