import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.archive.source import DescriptorReader, Source
from lodge.errors import Corrupt
from tests.unit.archive.making import Dribble

DATA = bytes(range(256)) * 20


@given(st.lists(st.tuples(st.sampled_from(["take", "peek", "skip", "read", "pieces"]), st.integers(0, 700))))
def test_every_way_of_reading_agrees_with_the_bytes(steps: list[tuple[str, int]]) -> None:
    source, position = Source(Dribble(DATA)), 0
    for step, size in steps:
        left = DATA[position:]
        if step == "peek":
            assert source.peek(size) == left[:size]
        elif step == "read":
            if size:
                got = source.read(size)
                assert got == left[: len(got)]
                assert got or not left
                position += len(got)
        elif size > len(left):
            with pytest.raises(Corrupt, match="unexpected end"):
                source.take(size) if step != "skip" else source.skip(size)
            return
        else:
            if step == "take":
                assert source.take(size) == left[:size]
            elif step == "skip":
                source.skip(size)
            else:
                assert b"".join(source.pieces(size)) == left[:size]
            position += size
        assert source.offset == position


def test_drain_reads_to_the_end() -> None:
    source = Source(Dribble(DATA))
    source.take(3)
    source.drain()
    assert source.offset == len(DATA)
    assert source.read(1) == b""


def test_a_descriptor_is_a_readable(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "x")
    with open(path, "wb") as file:
        file.write(DATA)
    with open(path, "rb") as file:
        assert Source(DescriptorReader(file.fileno())).take(len(DATA)) == DATA


def test_pieces_are_not_copied_when_they_fill_the_buffer() -> None:
    source = Source(io.BytesIO(DATA))
    assert list(source.pieces(len(DATA))) == [DATA]
