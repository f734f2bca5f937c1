"""Layers that were made on this machine, kept between runs: compressed tars with their digests.

An entry is two files, `<family>@<key>.tar.zst` and `<family>@<key>.json`; the second names the digests and is
written last, so that an entry is either whole or absent after any crash. Callers of the same key wait for one
maker. May touch only its own directory. Who makes layers lives in `debian` and `busybox`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import msgspec
import zstandard

from lodge.errors import InvalidArgument
from lodge.spec.digest import Digest

ZSTD_LEVEL = 3
"""zstd's own default; its output depends on nothing but the bytes and the library's version."""

_KEY = re.compile(r"[a-z0-9][a-z0-9._+-]{0,199}")


class Sink(Protocol):
    """Where a maker writes the bytes of its tar."""

    def write(self, data: bytes, /) -> object:
        """Takes all of `data`."""


class CachedLayer(msgspec.Struct, frozen=True):
    """A layer in the cache. `digest` and `size` (bytes) are of the zstd file, `diff_id` is of the tar in it.

    `origin` says when what it is made of was released, and what made it.
    """

    path: Path
    digest: Digest
    size: int
    diff_id: Digest
    origin: Origin


class Origin(msgspec.Struct, frozen=True):
    """Where a layer comes from: `released` in seconds since the epoch, `made_by` for the image's history."""

    released: int
    made_by: str


class _Record(msgspec.Struct):
    digest: str
    size: int
    diff_id: str
    origin: Origin


class LayerCache:
    """Keeps one layer a key; keys of the same `family` replace each other, so old releases do not pile up."""

    def __init__(self, directory: Path) -> None:
        """Remember the directory; it is made at first use, readable by the owner only."""
        self.directory = directory

    def get(self, family: str, key: str, origin: Origin, make: Callable[[Sink], None]) -> CachedLayer:
        """Return the layer of `key`, calling `make` to write its tar when it is not there.

        Blocks while another thread or process makes the same family. Raises what `make` raises, OSError when
        the directory cannot be written, InvalidArgument for a key that is no plain file name.
        """
        for name in (family, key):
            if not _KEY.fullmatch(name):
                raise InvalidArgument(f"invalid cache key: {name!r}")
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked(family):
            found = self._read(f"{family}@{key}")
            if found is None:
                found = self._make(f"{family}@{key}", origin, make)
                self._forget_others(family, f"{family}@{key}")
            return found

    def newest(self, family: str) -> CachedLayer | None:
        """Return the layer of the family that was made last, for when today's key cannot be found out."""
        records = sorted(self.directory.glob(f"{family}@*.json"), key=lambda path: path.stat().st_mtime)
        return self._read(records[-1].stem) if records else None

    @contextmanager
    def _locked(self, family: str) -> Iterator[None]:
        with open(self.directory / f"{family}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self, name: str) -> CachedLayer | None:
        path = self.directory / f"{name}.tar.zst"
        try:
            record = msgspec.json.decode((self.directory / f"{name}.json").read_bytes(), type=_Record)
            if path.stat().st_size != record.size:
                return None
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return CachedLayer(path, Digest(record.digest), record.size, Digest(record.diff_id), record.origin)

    def _make(self, name: str, origin: Origin, make: Callable[[Sink], None]) -> CachedLayer:
        path = self.directory / f"{name}.tar.zst"
        partial = path.with_suffix(".partial")
        try:
            with open(partial, "wb") as file:
                compressed = _Hashing(file)
                compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj()
                plain = _Hashing(_Compressing(compressor, compressed))
                make(plain)
                compressed.write(compressor.flush())
                file.flush()
                os.fsync(file.fileno())
            partial.rename(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        layer = CachedLayer(path, compressed.digest(), compressed.size, plain.digest(), origin)
        record = msgspec.json.encode(_Record(str(layer.digest), layer.size, str(layer.diff_id), origin))
        temporary = self.directory / f"{name}.json.partial"
        temporary.write_bytes(record)
        temporary.rename(self.directory / f"{name}.json")
        return layer

    def _forget_others(self, family: str, keep: str) -> None:
        for path in self.directory.glob(f"{family}@*.json"):
            if path.stem != keep:
                # the record first: without it the layer is absent, and never half there
                with suppress(FileNotFoundError):
                    path.unlink()
                with suppress(FileNotFoundError):
                    path.with_suffix(".tar.zst").unlink()


class _Compressing:
    """Passes bytes on compressed. Whoever made the compressor ends its frame."""

    def __init__(self, compressor: zstandard.ZstdCompressionObj, below: Sink) -> None:
        self.compressor = compressor
        self.below = below

    def write(self, data: bytes, /) -> None:
        self.below.write(self.compressor.compress(data))


class _Hashing:
    """Passes bytes on to the next writer and keeps their digest and count."""

    def __init__(self, below: Sink) -> None:
        self.below = below
        self.size = 0
        self._hasher = hashlib.sha256()

    def write(self, data: bytes, /) -> int:
        self._hasher.update(data)
        self.size += len(data)
        self.below.write(data)
        return len(data)

    def digest(self) -> Digest:
        return Digest.finish(self._hasher)
