"""Compressed streams: told by their first bytes, inflated and deflated in this process as they flow.

No program is run for it, so no name is looked up in anybody's PATH (CVE-2014-9357, CVE-2026-41567). What
one call returns is bounded, so that a small stream can't fill the memory; how much all calls return is for
the caller to limit. gzip goes through isal where it is installed, which takes half of zlib's time.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

import zstandard

from lodge.archive.source import Readable, Source
from lodge.errors import Corrupt, InvalidArgument


def _find_isal() -> tuple[Any, Any]:
    try:
        from isal import igzip_lib, isal_zlib
    except ImportError:  # there is no wheel for this machine
        return None, None
    return igzip_lib, isal_zlib


_igzip_lib, _isal_zlib = _find_isal()

NONE: Final = "none"
GZIP: Final = "gzip"
ZSTD: Final = "zstd"
BZIP2: Final = "bzip2"
XZ: Final = "xz"

_MAGIC: Final = ((b"\x1f\x8b\x08", GZIP), (b"\x28\xb5\x2f\xfd", ZSTD), (b"BZh", BZIP2), (b"\xfd7zXZ\x00", XZ))
_ZSTD_SKIPPABLE: Final = bytes.fromhex("2a4d18")
_LARGEST_WINDOW: Final = 128 << 20
_LZMA_MEMORY: Final = 256 << 20
_INPUT: Final = 256 << 10
_ZSTD_INPUT: Final = 4 << 10
"""A zstd block of four bytes can stand for 128 KiB, and the library has no limit for one call's output."""


def detect(first: bytes) -> str:
    """Tell the compression from the first six bytes or more: GZIP, ZSTD, BZIP2, XZ, or NONE for all else."""
    for magic, name in _MAGIC:
        if first.startswith(magic):
            return name
    if len(first) >= 4 and first[1:4] == _ZSTD_SKIPPABLE and first[0] & 0xF0 == 0x50:
        return ZSTD
    return NONE


def inflate(readable: Readable) -> tuple[str, Source]:
    """Return the name of the compression and the plain stream; the stream itself when it isn't compressed.

    Several streams one after the other are one, as gzip, zstd, bzip2 and xz have it. The plain stream raises
    Corrupt for damaged or incomplete input.
    """
    source = readable if isinstance(readable, Source) else Source(readable)
    name = detect(source.peek(6))
    if name == NONE:
        return name, source
    return name, Source(_Inflated(source, name, _DECODERS[name]))


class _Decoder(Protocol):
    """One compressed stream: what Python's bz2 and lzma objects have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _ZlibDecoder:
    """zlib's object with the manners of the others."""

    needs_input = True

    def __init__(self) -> None:
        self._object = zlib.decompressobj(31)

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        plain = self._object.decompress(self._object.unconsumed_tail + data, max_length)
        self.needs_input = not self._object.unconsumed_tail and len(plain) < max_length
        return plain

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data


class _ZstdDecoder:
    """zstandard's object with the manners of the others; bounded by the length of its input."""

    needs_input = True

    def __init__(self) -> None:
        self._object = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()
        self._pending = b""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        data = self._pending + data
        plain: list[bytes] = []
        length = position = 0
        while position < len(data) and length < max_length and not self._object.eof:
            out = self._object.decompress(data[position : position + _ZSTD_INPUT])
            position += _ZSTD_INPUT
            plain.append(out)
            length += len(out)
        self._pending = data[position:]
        self.needs_input = not self._pending
        return b"".join(plain)

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data + self._pending


def _gzip_decoder() -> _Decoder:
    if _igzip_lib is None:
        return _ZlibDecoder()
    decoder: _Decoder = _igzip_lib.IgzipDecompressor(flag=_igzip_lib.DECOMP_GZIP)
    return decoder


_DECODERS: Final[dict[str, Callable[[], _Decoder]]] = {
    GZIP: _gzip_decoder,
    ZSTD: _ZstdDecoder,
    BZIP2: bz2.BZ2Decompressor,
    XZ: lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY),
}
_FAILURES: Final[tuple[type[Exception], ...]] = (
    zlib.error,
    lzma.LZMAError,
    zstandard.ZstdError,
    EOFError,
    *((_isal_zlib.error,) if _isal_zlib is not None else ()),
)


class _Inflated:
    """The plain bytes of one or more compressed streams, one after the other."""

    def __init__(self, source: Source, name: str, make: Callable[[], _Decoder]) -> None:
        self._source = source
        self._name = name
        self._make = make
        self._decoder: _Decoder | None = make()
        self._ahead = b""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, for zstd perhaps more; nothing at the end."""
        while self._decoder is not None:
            data, self._ahead = self._ahead, b""
            if not data and self._decoder.needs_input:
                data = self._source.read(_INPUT)
                if not data:
                    raise Corrupt(f"unexpected end of the {self._name} stream")
            plain = self._decode(self._decoder, data, size)
            if self._decoder.eof:
                self._decoder = self._following(self._decoder.unused_data)
            if plain:
                return plain
        return b""

    def _decode(self, decoder: _Decoder, data: bytes, size: int) -> bytes:
        try:
            return decoder.decompress(data, size)
        except _FAILURES as error:
            raise Corrupt(f"invalid {self._name} stream: {error}") from error
        except OSError as error:
            # bz2 says so, without a number.
            if error.errno is not None:
                raise
            raise Corrupt(f"invalid {self._name} stream: {error}") from error

    def _following(self, rest: bytes) -> _Decoder | None:
        """Return a decoder for the next stream, or None at the end. Padding of zeros is passed over."""
        rest = rest.lstrip(b"\0")
        while not rest:
            more = self._source.read(_INPUT)
            if not more:
                return None
            rest = more.lstrip(b"\0")
        if len(rest) < 6:
            rest += self._source.read(6)
        if detect(rest) != self._name:
            raise Corrupt(f"invalid {self._name} stream: other data follows it")
        self._ahead = rest
        return self._make()


class Compressor(Protocol):
    """Deflates what it is given, piece by piece."""

    def compress(self, data: bytes | memoryview, /) -> bytes:
        """Take plain bytes; return what is ready."""

    def flush(self) -> bytes:
        """Return the rest; nothing may follow."""


class _Plain:
    def compress(self, data: bytes | memoryview, /) -> bytes:
        return bytes(data)

    def flush(self) -> bytes:
        return b""


def compressor(name: str, level: int | None = None) -> Compressor:
    """Return a compressor for NONE, GZIP (levels 0 to 9) or ZSTD (1 to 22); level None is a quick one.

    Equal input and level give equal bytes on one machine: no time stamps go in. Raises InvalidArgument.
    """
    made: Any
    if name == NONE:
        made = _Plain()
    elif name == ZSTD and (level is None or 1 <= level <= 22):
        made = zstandard.ZstdCompressor(level=level or 3, write_checksum=True).compressobj()
    elif name == GZIP and (level is None or 0 <= level <= 9):
        # isal has the levels 0 to 3, faster and weaker than zlib's; people who ask for more get zlib.
        if _isal_zlib is not None and (level is None or level <= 3):
            made = _isal_zlib.compressobj(2 if level is None else level, _isal_zlib.DEFLATED, 31)
        else:
            made = zlib.compressobj(6 if level is None else level, zlib.DEFLATED, 31)
    else:
        raise InvalidArgument(f"unknown compression {name!r} or level {level!r}", hint="gzip 0-9, zstd 1-22")
    compressor: Compressor = made
    return compressor
