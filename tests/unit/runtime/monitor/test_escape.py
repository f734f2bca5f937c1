"""The detach keys: how they are spelled, and how they are found in a stream cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument
from lodge.runtime.monitor.escape import DEFAULT_KEYS, Escape, parse_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b""),
        ("ctrl-p,ctrl-q", DEFAULT_KEYS),
        ("ctrl-@", b"\x00"),
        ("ctrl-a", b"\x01"),
        ("ctrl-z", b"\x1a"),
        ("ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x1b\x1c\x1d\x1e\x1f"),
        ("a,b", b"ab"),
        ("CTRL-P,q", b"\x10q"),
    ],
)
def test_spelling(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ctrl-pp", "ab", "a,,b", "shift-a", "ctrl"])
def test_wrong_spelling_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="Invalid detach keys"):
        parse_keys(text)


def test_beginning_is_held_back_until_it_is_clear() -> None:
    escape = Escape(b"\x10\x11")
    assert escape.feed(b"abc\x10") == b"abc"
    assert escape.feed(b"d") == b"\x10d"
    assert not escape.found


def test_sequence_is_swallowed_with_what_follows() -> None:
    escape = Escape(b"\x10\x11")
    assert escape.feed(b"abc\x10\x11def") == b"abc"
    assert escape.found


def test_repeated_first_key_still_detaches() -> None:
    escape = Escape(b"\x10\x11")
    assert escape.feed(b"\x10\x10\x11") == b"\x10"
    assert escape.found


def feed_all(escape: Escape, pieces: list[bytes]) -> bytes:
    passed = b""
    for piece in pieces:
        passed += escape.feed(piece)
        if escape.found:
            break
    return passed


def letters(count: int) -> st.SearchStrategy[bytes]:
    """Short texts of so few letters that sequences are met often."""
    return st.binary(min_size=count == 2, max_size=8).map(
        lambda data: bytes(97 + byte % count for byte in data)
    )


@given(keys=letters(2), pieces=st.lists(letters(3), max_size=8))
def test_found_exactly_where_the_sequence_first_ends(keys: bytes, pieces: list[bytes]) -> None:
    escape = Escape(keys)
    passed = feed_all(escape, pieces)
    whole = b"".join(pieces)
    place = whole.find(keys)
    assert escape.found == (place >= 0)
    if escape.found:
        assert passed == whole[:place]
    else:
        # Only a beginning of the keys may still be held back.
        assert whole.startswith(passed)
        assert keys.startswith(whole[len(passed) :])
