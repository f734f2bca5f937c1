import io
import os
import subprocess
from pathlib import Path

import pytest

from lodge.archive.extract import extract
from lodge.archive.reader import TarReader
from lodge.errors import Corrupt
from tests.unit.archive.making import padded, raw_header

END = bytes(1024)


def _octal(*numbers: int) -> bytes:
    return b"".join(b"%011o\0" % number for number in numbers)


def content(data: bytes, tmp_path: Path) -> bytes:
    root = os.open(tmp_path, os.O_RDONLY)
    try:
        extract(io.BytesIO(data), root)
    finally:
        os.close(root)
    return (tmp_path / "f").read_bytes()


def test_old_gnu(tmp_path: Path) -> None:
    gnu = _octal(0, 3, 1000, 2) + bytes(48) + b"\0" + _octal(2000)
    data = raw_header(b"f", _octal(5), b"S", magic=b"ustar  \0", gnu=gnu) + padded(b"abcde") + END
    assert content(data, tmp_path) == b"abc" + bytes(997) + b"de" + bytes(998)


def test_old_gnu_with_more_blocks_of_segments(tmp_path: Path) -> None:
    segments = [(n * 100, 1) for n in range(30)]
    first = b"".join(_octal(*pair) for pair in segments[:4]) + b"\1" + _octal(3000)
    second = b"".join(_octal(*pair) for pair in segments[4:25]).ljust(504, b"\0") + b"\1" + bytes(7)
    third = b"".join(_octal(*pair) for pair in segments[25:]).ljust(504, b"\0") + bytes(8)
    data = (
        raw_header(b"f", _octal(30), b"S", magic=b"ustar  \0", gnu=first)
        + second
        + third
        + padded(b"x" * 30)
        + END
    )
    assert content(data, tmp_path) == (b"x" + bytes(99)) * 30


def _pax(records: list[bytes]) -> bytes:
    text = b""
    for record in records:
        length = len(record) + 3
        while len(b"%d %b\n" % (length, record)) != length:
            length += 1
        text += b"%d %b\n" % (length, record)
    return raw_header(b"p", _octal(len(text)), b"x") + padded(text)


REPEATED = [
    b"GNU.sparse.size=2000",
    b"GNU.sparse.numblocks=2",
    b"GNU.sparse.offset=0",
    b"GNU.sparse.numbytes=3",
    b"GNU.sparse.offset=1000",
    b"GNU.sparse.numbytes=2",
]
LISTED = [b"GNU.sparse.size=2000", b"GNU.sparse.numblocks=2", b"GNU.sparse.map=0,3,1000,2"]


@pytest.mark.parametrize("records", [REPEATED, LISTED])
def test_pax_0(records: list[bytes], tmp_path: Path) -> None:
    data = _pax(records) + raw_header(b"f", _octal(5)) + padded(b"abcde") + END
    assert content(data, tmp_path) == b"abc" + bytes(997) + b"de" + bytes(998)


def test_pax_1(tmp_path: Path) -> None:
    records = [
        b"GNU.sparse.major=1",
        b"GNU.sparse.minor=0",
        b"GNU.sparse.name=f",
        b"GNU.sparse.realsize=2000",
    ]
    payload = padded(b"2\n0\n3\n1000\n2\n") + b"abcde"
    data = _pax(records) + raw_header(b"GNUSparseFile.0/f", _octal(len(payload))) + padded(payload) + END
    assert content(data, tmp_path) == b"abc" + bytes(997) + b"de" + bytes(998)
    assert (tmp_path / "f").stat().st_blocks * 512 <= 8192


@pytest.mark.parametrize(
    ("segments", "size", "real"),
    [
        ([(10, 5), (0, 5)], 10, 100),
        ([(0, 5), (3, 5)], 10, 100),
        ([(0, 5)], 5, 4),
        ([(0, 5)], 6, 100),
        ([(0, 7)], 6, 100),
        ([(1 << 63, 5)], 5, 100),
    ],
)
def test_lying_maps_are_refused(segments: list[tuple[int, int]], size: int, real: int) -> None:
    numbers = b",".join(b"%d,%d" % pair for pair in segments)
    records = [b"GNU.sparse.size=%d" % real, b"GNU.sparse.map=" + numbers]
    data = _pax(records) + raw_header(b"f", _octal(size)) + padded(b"x" * size) + END
    with pytest.raises(Corrupt, match="invalid sparse map"):
        list(TarReader(io.BytesIO(data)))


@pytest.mark.parametrize(
    "text", [b"x\n", b"9999999\n", b"2\n0\n", b"1\n0\nx\n", b"9" * 30 + b"\n", b"no newline at all"]
)
def test_lying_leading_maps_are_refused(text: bytes) -> None:
    records = [b"GNU.sparse.major=1", b"GNU.sparse.minor=0", b"GNU.sparse.realsize=2000"]
    data = _pax(records) + raw_header(b"f", _octal(512)) + padded(text) + END
    with pytest.raises(Corrupt):
        list(TarReader(io.BytesIO(data)))


@pytest.mark.parametrize(
    "format", ["gnu", "posix --sparse-version=0.0", "posix --sparse-version=0.1", "posix"]
)
def test_agrees_with_gnu_tar(format: str, tmp_path: Path) -> None:
    made = tmp_path / "in"
    made.mkdir()
    with open(made / "f", "wb") as file:
        for place in range(0, 4 << 20, 512 << 10):
            file.seek(place)
            file.write(b"data at %d" % place)
        file.truncate(5 << 20)
    archive = tmp_path / "x.tar"
    words = ["tar", "-C", str(made), "-S", *f"--format={format}".split(), "-cf", str(archive), "f"]
    subprocess.run(words, check=True)
    assert archive.stat().st_size < 1 << 20
    out = tmp_path / "out"
    out.mkdir()
    assert content(archive.read_bytes(), out) == (made / "f").read_bytes()
