import bz2
import gzip
import io
import lzma
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lodge.archive import compression
from lodge.archive.compression import BZIP2, GZIP, NONE, XZ, ZSTD, compressor, detect, inflate
from lodge.errors import Corrupt, InvalidArgument
from tests.unit.archive.making import Dribble

DATA = b"the same again and again " * 5000
PACK = {
    GZIP: gzip.compress,
    ZSTD: lambda data: zstandard.ZstdCompressor().compress(data),
    BZIP2: bz2.compress,
    XZ: lzma.compress,
}


def plain(data: bytes) -> tuple[str, bytes]:
    name, source = inflate(io.BytesIO(data))
    return name, b"".join(iter(lambda: source.read(10_000), b""))


@pytest.mark.parametrize("name", PACK)
def test_inflates(name: str) -> None:
    packed = PACK[name](DATA)
    assert detect(packed) == name
    assert plain(packed) == (name, DATA)
    assert plain(packed + packed) == (name, DATA + DATA)
    assert plain(packed + bytes(1000)) == (name, DATA)
    assert plain(PACK[name](b"")) == (name, b"")
    _, source = inflate(Dribble(packed + packed))
    assert source.take(2 * len(DATA)) == DATA + DATA


@pytest.mark.parametrize("name", PACK)
def test_damage_is_noticed(name: str) -> None:
    packed = PACK[name](DATA)
    for bad in (
        packed[:-1],
        packed[: len(packed) // 2],
        packed[:7],
        packed + b"garbage!",
        packed + b"\0garbage!",
    ):
        with pytest.raises(Corrupt):
            plain(bad)


@pytest.mark.parametrize("name", PACK)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_flipped_bytes_are_an_error_or_no_matter(name: str, place: int, value: int) -> None:
    packed = bytearray(PACK[name](DATA[:500]))
    packed[place % len(packed)] = value
    try:
        plain(bytes(packed))
    except Corrupt:
        return


def test_what_is_not_compressed_passes() -> None:
    for data in (b"", b"x", b"plain text that is long enough", bytes(600)):
        assert plain(data) == (NONE, data)


def test_a_zstd_stream_may_begin_with_a_skippable_frame() -> None:
    frame = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    assert plain(frame + PACK[ZSTD](DATA)) == (ZSTD, DATA)


def test_bombs_come_in_bounded_pieces() -> None:
    size = 1 << 28
    for packed in (
        zstandard.ZstdCompressor(level=3).compress(bytes(size)),
        b"".join(_gzip_zeros(size)),
    ):
        _, source = inflate(io.BytesIO(packed))
        largest = total = 0
        while piece := source.read(1 << 20):
            largest, total = max(largest, len(piece)), total + len(piece)
            if total > 200 << 20:
                break
        assert largest <= 1 << 20
        assert len(source.peek(1)) == 1
        assert source._size <= 192 << 20


def _gzip_zeros(size: int) -> list[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return [*(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)), packer.flush()]


def test_a_window_that_is_too_large_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(b"x" * 1000) + packer.flush()
    with pytest.raises(Corrupt):
        plain(packed)


@pytest.mark.parametrize(
    ("name", "level"), [(NONE, None), (GZIP, None), (GZIP, 0), (GZIP, 9), (ZSTD, None), (ZSTD, 19)]
)
def test_deflates_the_same_every_time(name: str, level: int | None) -> None:
    def pack() -> bytes:
        made = compressor(name, level)
        return made.compress(DATA) + made.compress(memoryview(DATA)) + made.flush()

    assert pack() == pack()
    assert plain(pack()) == (name, DATA + DATA)


@pytest.mark.parametrize(("name", "level"), [("lz4", None), (GZIP, 10), (ZSTD, 0), (ZSTD, 23)])
def test_refuses_unknown_ways_to_deflate(name: str, level: int | None) -> None:
    with pytest.raises(InvalidArgument):
        compressor(name, level)


def test_zlib_serves_where_isal_has_no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_igzip_lib", None)
    monkeypatch.setattr(compression, "_isal_zlib", None)
    test_inflates(GZIP)
    test_damage_is_noticed(GZIP)
    made = compressor(GZIP)
    assert plain(made.compress(DATA) + made.flush()) == (GZIP, DATA)
