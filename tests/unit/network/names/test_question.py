import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lodge.network.names.question import FORMERR, NOTIMP, Malformed, is_query, read_name, read_question
from tests.unit.network.names import dns

names = st.lists(
    st.text("abcXYZ019-_", min_size=1, max_size=63), min_size=1, max_size=8
).map(".".join).filter(lambda name: len(name) < 254)  # fmt: skip


@settings(deadline=None)
@given(names, st.integers(0, 65535), st.none() | st.integers(0, 65535))
def test_what_is_asked_is_read(name: str, kind: int, edns: int | None) -> None:
    message = dns.query(name, kind, edns=edns)
    question = read_question(message)
    assert question.name == name.lower().encode()
    assert question.kind == kind
    assert question.family == 1
    assert question.edns == (edns is not None)
    assert question.limit == max(512, edns or 0)
    assert message[12 : question.end] == dns.labels(name) + struct.pack("!HH", kind, 1)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (dns.query("web", flags=0x2800), NOTIMP),
        (dns.query("web")[:-3], FORMERR),
        (dns.query("web")[:14], FORMERR),
        (struct.pack("!HHHHHH", 1, 0x100, 0, 0, 0, 0), FORMERR),
        (struct.pack("!HHHHHH", 1, 0x100, 2, 0, 0, 0) + dns.query("web")[12:], FORMERR),
        (dns.query("web")[:12] + b"\xc0\x0c\0\x01\0\x01", FORMERR),
        (dns.query("web")[:12] + b"\x3fweb\0\0\x01\0\x01", FORMERR),
        (dns.query(".".join(["a" * 60] * 5)), FORMERR),
    ],
)
def test_what_can_not_be_read(message: bytes, code: int) -> None:
    with pytest.raises(Malformed) as caught:
        read_question(message)
    assert caught.value.code == code


def test_a_broken_tail_does_not_matter() -> None:
    message = bytearray(dns.query("web"))
    message[11] = 9
    assert not read_question(bytes(message)).edns
    assert not read_question(bytes(message) + b"\x05abc").edns


def test_answers_and_scraps_are_no_queries() -> None:
    assert is_query(dns.query("web"))
    assert not is_query(dns.query("web", flags=0x8180))
    assert not is_query(b"\0" * 11)
    assert not is_query(b"")


def test_the_longest_name() -> None:
    name = ".".join(["a" * 61] * 4) + ".aaaaa"
    assert read_name(dns.labels(name), 0) == (name.encode(), 255)
    with pytest.raises(Malformed):
        read_name(dns.labels(name + "a"), 0)


@settings(deadline=None)
@given(st.binary(min_size=12, max_size=300))
def test_no_bytes_break_the_reader(message: bytes) -> None:
    try:
        question = read_question(message)
    except Malformed:
        return
    assert 12 < question.end <= len(message)
