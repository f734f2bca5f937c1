import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument
from lodge.spec.digest import Digest, hasher


@given(st.binary())
def test_of_bytes_is_their_sha256(data: bytes) -> None:
    digest = Digest.of(data)
    assert digest == "sha256:" + hashlib.sha256(data).hexdigest()
    assert (digest.algorithm, digest.hex) == ("sha256", hashlib.sha256(data).hexdigest())
    assert digest.short == digest.hex[:12]


def test_other_algorithms_and_hashers_agree() -> None:
    for algorithm in ("sha256", "sha384", "sha512"):
        made = hasher(algorithm)
        made.update(b"x")
        digest = Digest.finish(made, algorithm)
        again = digest.hasher()
        again.update(b"x")
        assert Digest.finish(again, algorithm) == digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid checksum digest format"),
        ("sha256", "invalid checksum digest format"),
        ("sha256:", "invalid checksum digest length"),
        ("sha256:abc", "invalid checksum digest length"),
        ("sha256:" + "A" * 64, "invalid checksum digest format"),
        ("sha256:" + "g" * 64, "invalid checksum digest format"),
        ("sha256:" + "/" * 64, "invalid checksum digest format"),
        ("sha256:../../../../etc/passwd" + "a" * 42, "invalid checksum digest"),
        ("md5:" + "a" * 32, "unsupported digest algorithm"),
        ("../x:" + "a" * 64, "invalid checksum digest format"),
        ("sha256:" + "a" * 64 + "\n", "invalid checksum digest"),
        (" sha256:" + "a" * 64, "invalid checksum digest"),
    ],
)
def test_refuses_what_is_no_digest(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        Digest(text)


@given(st.text())
def test_any_text_is_a_safe_digest_or_refused(text: str) -> None:
    try:
        digest = Digest(text)
    except InvalidArgument:
        return
    assert set(digest) <= set("sha0123456789abcdef:")


def test_unknown_algorithm_has_no_hasher() -> None:
    with pytest.raises(InvalidArgument):
        hasher("md5")


def test_a_digest_made_twice_is_the_same_object() -> None:
    digest = Digest.of(b"")
    assert Digest(digest) is digest
    assert msgspec.json.decode(msgspec.json.encode(str(digest))) == digest
