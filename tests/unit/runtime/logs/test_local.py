"""The compact format of the driver `local`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.runtime.logs.local import Decoder, Encoder
from lodge.runtime.logs.view import View, time_text
from lodge.spec.streams import STDERR, STDOUT, frame

AT = 1_700_000_000_123_456_789


def written(groups: list[tuple[int, bytes]], attributes: dict[str, str] | None = None) -> bytes:
    encoder = Encoder(attributes or {})
    return b"".join(encoder.encode(stream, group, AT + 10 * n) for n, (stream, group) in enumerate(groups))


def shown(block: bytes, **view: object) -> bytes:
    return Decoder(View(framed=False, **view)).render(block)  # type: ignore[arg-type]


LINE = st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"") + b"\n")
GROUP = st.lists(LINE, min_size=1).map(b"".join)
GROUPS = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), GROUP), max_size=6)


@given(groups=GROUPS, size=st.integers(1, 100), attributes=st.sampled_from([{}, {"k": "v"}]))
def test_every_byte_comes_back(
    groups: list[tuple[int, bytes]], size: int, attributes: dict[str, str]
) -> None:
    block = written(groups, attributes)
    decoder = Decoder(View(framed=False))
    buffer, out = b"", b""
    for start in range(0, len(block), size):
        buffer += block[start : start + size]
        end = decoder.cut(buffer)
        out += decoder.render(buffer[:end])
        buffer = buffer[end:]
    assert out == b"".join(text for _, text in groups)
    assert not buffer


def test_large_groups_are_several_records() -> None:
    text = b"0123456789\n" * 10_000
    block = written([(STDOUT, text)])
    assert shown(block) == text
    assert len(block) < len(text) * 1.01
    assert Decoder(View()).count(block) == 10_000


def test_frames_and_streams() -> None:
    block = written([(STDOUT, b"a\n"), (STDERR, b"b\n")])
    assert Decoder(View()).render(block) == frame(STDOUT, b"a\n") + frame(STDERR, b"b\n")
    assert shown(block, wanted=frozenset((STDERR,))) == b"b\n"


def test_timestamps_and_details() -> None:
    block = written([(STDOUT, b"a\nb\n"), (STDOUT, b"piece"), (STDOUT, b"s\n")], {"x": "y"})
    first, second = time_text(AT).encode(), time_text(AT + 10).encode()
    expected = b"%b x=y a\n%b x=y b\n%b x=y pieces\n" % (first, first, second)
    assert shown(block, timestamps=True, details=True) == expected


def test_since_until_skip() -> None:
    block = written([(STDOUT, b"%d\n" % n) for n in range(5)])
    assert shown(block, since=AT + 20) == b"2\n3\n4\n"
    assert shown(block, until=AT + 20) == b"0\n1\n2\n"
    decoder = Decoder(View(framed=False))
    decoder.skip = 4
    assert decoder.render(block) == b"4\n"


@pytest.mark.parametrize("torn", [b"\0" * 50, b"\xa7", b"\xa7" * 40, written([(STDOUT, b"lost\n")])[:-3]])
def test_torn_records_cost_only_themselves(torn: bytes) -> None:
    block = written([(STDOUT, b"a\n")]) + torn + written([(STDOUT, b"b\n")])
    decoder = Decoder(View(framed=False))
    end = decoder.cut(block)
    text = decoder.render(block[:end])
    assert text.startswith(b"a\n")
    assert b"b\n" in text


def test_boundary_is_the_end_of_a_record() -> None:
    encoder = Encoder({"a": "b"})
    text = b"0123456789\n" * 4000
    records = encoder.encode(STDOUT, text, AT)
    end = encoder.boundary(records, 100)
    assert shown(records[:end]) + shown(records[end:]) == text
    assert 0 < end < len(records)
