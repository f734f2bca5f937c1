"""Output is cut into whole lines and pieces of long ones, and nothing is lost."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lodge.runtime.logs.cutter import PIECE, Cutter


def cut(pieces: list[bytes]) -> list[bytes]:
    cutter = Cutter()
    entries = [entry for piece in pieces for entry in cutter.feed(piece)]
    rest = cutter.finish()
    return [*entries, rest] if rest else entries


def test_whole_lines_are_one_group() -> None:
    assert cut([b"a\nb\n"]) == [b"a\nb\n"]


def test_unfinished_line_waits_for_its_end() -> None:
    cutter = Cutter()
    assert cutter.feed(b"a\nb") == [b"a\n"]
    assert cutter.rest == b"b"
    assert cutter.feed(b"c\n") == [b"bc\n"]


def test_long_line_is_cut_at_16_kib() -> None:
    line = b"x" * (2 * PIECE + 5) + b"\n"
    assert cut([b"a\n" + line + b"z\n"]) == [b"a\n", b"x" * PIECE, b"x" * PIECE, b"xxxxx\nz\n"]


def test_line_of_exactly_16_kib_is_a_piece_and_an_empty_end() -> None:
    """As Docker does it."""
    assert cut([b"x" * PIECE + b"\n"]) == [b"x" * PIECE, b"\n"]


def test_endless_line_takes_bounded_memory() -> None:
    cutter = Cutter()
    for _ in range(1000):
        cutter.feed(b"x" * 65536)
        assert len(cutter.rest) < PIECE


def test_no_character_is_split() -> None:
    text = ("ä" * PIECE).encode()
    for entry in cut([b"x" + text]):
        entry.decode()


LINES = st.lists(
    st.one_of(st.binary(max_size=40), st.integers(1, 3 * PIECE).map(lambda size: b"y" * size)), max_size=5
)


@given(lines=LINES, cuts=st.lists(st.integers(0, 4 * PIECE), max_size=6))
def test_nothing_is_lost_and_no_entry_is_wrong(lines: list[bytes], cuts: list[int]) -> None:
    whole = b"\n".join(lines)
    places = sorted({0, *(min(place, len(whole)) for place in cuts), len(whole)})
    pieces = [whole[start:end] for start, end in pairwise(places)]
    entries = cut(pieces)
    assert b"".join(entries) == whole
    for entry in entries:
        assert entry.endswith(b"\n") or b"\n" not in entry
        assert all(len(line) <= PIECE for line in entry.split(b"\n"))
