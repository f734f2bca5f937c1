"""An image's manifests and blobs as they lie in the store, for tools that copy and look. Only reads."""

from __future__ import annotations

import os

from lodge.errors import NotFound
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import MANIFEST_CAP
from lodge.store.store import Store


def manifest(store: Store, target: Descriptor) -> tuple[Descriptor, bytes]:
    """What an image's name refers to, with its bytes. Raises NotFound, Corrupt."""
    return target, store.content.read(target.id, MANIFEST_CAP)


def open_blob(store: Store, digest: str) -> int:
    """A descriptor of a blob for the caller to close: it stays readable when the blob is removed.

    Raises InvalidArgument, NotFound.
    """
    checked = Digest(digest)
    try:
        return os.open(store.content.path(checked), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"content {checked} not found") from None
