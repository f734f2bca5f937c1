"""A store of images in memory: the least that satisfies `lodge.distribution.bootstrap.ImageStore`."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest


class MemoryStore:
    """Keeps blobs and names in dictionaries; refuses a blob whose bytes are not what was announced."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.names: dict[str, Descriptor] = {}
        self.left: dict[str, bytes] = {}
        """What broken attempts have left, by digest."""

    @property
    def content(self) -> "MemoryStore":
        return self

    @property
    def references(self) -> "MemoryStore":
        return self

    def exists(self, digest: Digest, /) -> bool:
        return digest in self.blobs

    @contextmanager
    def ingest(self, expected: Digest, size: int, /) -> Iterator["_Writer"]:
        writer = _Writer(self.left.get(expected, b""))
        yield writer
        assert len(writer.data) == size
        assert "sha256:" + hashlib.sha256(writer.data).hexdigest() == expected
        self.blobs[expected] = bytes(writer.data)

    def set(self, name: str, descriptor: Descriptor, /) -> None:
        self.names[name] = descriptor


class _Writer:
    def __init__(self, left: bytes) -> None:
        self.data = bytearray(left)

    def offset(self) -> int:
        return len(self.data)

    def write(self, data: bytes, /) -> None:
        self.data += data

    def commit(self) -> Digest:
        return Digest.of(self.data)
