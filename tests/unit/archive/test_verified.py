import io

import pytest

from lodge.archive.verified import VerifiedReader
from lodge.errors import Corrupt
from lodge.spec.digest import Digest

DATA = b"some bytes" * 1000


def drain(reader: VerifiedReader) -> bytes:
    return b"".join(iter(lambda: reader.read(999), b""))


def test_good_bytes_pass() -> None:
    for digest in (Digest.of(DATA), Digest("sha512:" + __import__("hashlib").sha512(DATA).hexdigest())):
        reader = VerifiedReader(io.BytesIO(DATA), digest, len(DATA))
        assert drain(reader) == DATA
        assert reader.read(1) == b""


@pytest.mark.parametrize("size", [None, len(DATA)])
def test_bad_bytes_do_not(size: int | None) -> None:
    with pytest.raises(Corrupt, match="has the digest"):
        drain(VerifiedReader(io.BytesIO(DATA[:-1] + b"!"), Digest.of(DATA), size))


def test_short_and_long_streams_do_not() -> None:
    with pytest.raises(Corrupt, match="instead of"):
        drain(VerifiedReader(io.BytesIO(DATA[:-1]), Digest.of(DATA), len(DATA)))
    endless = VerifiedReader(io.BytesIO(DATA * 3), Digest.of(DATA), len(DATA))
    with pytest.raises(Corrupt, match="longer"):
        drain(endless)


def test_it_closes_what_it_was_given() -> None:
    file = io.BytesIO(DATA)
    with VerifiedReader(file, Digest.of(DATA), closing=file) as reader:
        reader.read(3)
    reader.close()
    assert file.closed
