"""Docker's json-file format: exactly as Docker writes it, and read back fast or slow with the same result."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.runtime.logs.json_file import Decoder, Encoder
from lodge.runtime.logs.view import View, parse_time, time_text
from lodge.spec.streams import STDERR, STDOUT, frame

AT = parse_time("2024-02-29T12:34:56.123456789Z")
TIME = b"2024-02-29T12:34:56.123456789Z"


def test_entry_is_dockers() -> None:
    expected = b'{"log":"hello\\n","stream":"stdout","time":"%b"}\n' % TIME
    assert Encoder({}).encode(STDOUT, b"hello\n", AT) == expected


def test_attributes_stand_between_stream_and_time() -> None:
    entry = Encoder({"a": "b"}).encode(STDERR, b"x\n", AT)
    assert entry == b'{"log":"x\\n","stream":"stderr","attrs":{"a":"b"},"time":"%b"}\n' % TIME


def test_piece_of_a_line_has_no_newline() -> None:
    assert Encoder({}).encode(STDOUT, b"x", AT).startswith(b'{"log":"x","stream"')


@pytest.mark.parametrize(
    ("raw", "escaped"),
    [
        (b'"\\', b'\\"\\\\'),
        (b"<>&", b"\\u003c\\u003e\\u0026"),
        (b"\r\t\x00\x1b", b"\\r\\u0009\\u0000\\u001b"),
        ("ä\u2028\u2029€".encode(), "ä\\u2028\\u2029€".encode()),
        (b"\xff", "�".encode()),
    ],
)
def test_escapes_are_dockers(raw: bytes, escaped: bytes) -> None:
    assert b'"log":"%b\\n"' % escaped in Encoder({}).encode(STDOUT, raw + b"\n", AT)


def test_times_differ_and_end_in_no_zero() -> None:
    encoder = Encoder({})
    times = [json.loads(encoder.encode(STDOUT, b"x\n", 1_000_000_000))["time"] for _ in range(20)]
    assert len({*times[:2]}) == 2
    assert not any(time.endswith("0Z") for time in times)


def written(groups: list[tuple[int, bytes]], attributes: dict[str, str] | None = None) -> bytes:
    encoder = Encoder(attributes or {})
    return b"".join(
        encoder.encode(stream, group, AT + index * 1000) for index, (stream, group) in enumerate(groups)
    )


def shown(block: bytes, **view: object) -> bytes:
    return Decoder(View(framed=False, **view)).render(block)  # type: ignore[arg-type]


TEXT = st.text(alphabet='ab"\\n\n\r\t<&\u2028ä\x01 ', max_size=30).map(str.encode)
GROUPS = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), TEXT.filter(bool)), max_size=8)


def normal(groups: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Groups as the cutter makes them: whole lines, or a piece without a newline."""
    return [
        (stream, text if text.endswith(b"\n") or b"\n" not in text else text[: text.rfind(b"\n") + 1])
        for stream, text in groups
    ]


@given(groups=GROUPS, attributes=st.sampled_from([{}, {"label": 'va"lue'}]))
def test_what_was_written_is_shown(groups: list[tuple[int, bytes]], attributes: dict[str, str]) -> None:
    groups = normal(groups)
    block = written(groups, attributes)
    for line in block.splitlines():
        json.loads(line)
    assert shown(block) == b"".join(text for _, text in groups)
    for stream in (STDOUT, STDERR):
        expected = b"".join(text for number, text in groups if number == stream)
        assert shown(block, wanted=frozenset((stream,))) == expected


@given(groups=GROUPS)
def test_json_says_the_same(groups: list[tuple[int, bytes]]) -> None:
    groups = normal(groups)
    entries = [json.loads(line) for line in written(groups).splitlines()]
    assert "".join(entry["log"] for entry in entries).encode() == b"".join(text for _, text in groups)


@given(groups=GROUPS, size=st.integers(1, 400))
def test_blocks_may_be_cut_anywhere(groups: list[tuple[int, bytes]], size: int) -> None:
    groups = normal(groups)
    block = written(groups)
    decoder = Decoder(View(framed=False))
    buffer, out = b"", b""
    for start in range(0, len(block), size):
        buffer += block[start : start + size]
        end = decoder.cut(buffer)
        out += decoder.render(buffer[:end])
        buffer = buffer[end:]
    assert out == b"".join(text for _, text in groups)


def test_many_lines_of_many_times() -> None:
    groups = [(STDERR if number % 7 == 0 else STDOUT, b"line %d\n" % number) for number in range(2000)]
    assert shown(written(groups)) == b"".join(text for _, text in groups)


def test_frames_hold_one_line_each() -> None:
    block = written([(STDOUT, b"a\nb\n"), (STDERR, b"c\n")])
    assert Decoder(View()).render(block) == (
        frame(STDOUT, b"a\n") + frame(STDOUT, b"b\n") + frame(STDERR, b"c\n")
    )


def test_timestamps_stand_before_each_line_once() -> None:
    block = written([(STDOUT, b"a\nb\n"), (STDOUT, b"piece"), (STDOUT, b" of it\n")])
    later = [time_text(AT + 1000).encode(), time_text(AT + 2001).encode()]
    assert shown(block, timestamps=True) == b"%b a\n%b b\n%b piece of it\n" % (TIME, TIME, later[0])


def test_details_are_shown_as_a_query() -> None:
    block = written([(STDOUT, b"x\ny\n")], {"b": "1 2", "a": "ä="})
    assert shown(block, details=True) == b"a=%C3%A4%3D,b=1+2 x\na=%C3%A4%3D,b=1+2 y\n"


def test_since_and_until() -> None:
    block = written([(STDOUT, b"%d\n" % number) for number in range(5)])
    assert shown(block, since=AT + 2000) == b"2\n3\n4\n"
    decoder = Decoder(View(framed=False, until=AT + 2500))
    assert decoder.render(block) == b"0\n1\n2\n"
    assert decoder.finished


@pytest.mark.parametrize(
    "torn",
    [
        b'{"log":"tor',
        b"\0" * 100,
        b'{"log":"x\\n","stream":"stdout"}',
        b"rubbish\n",
        b'{"log":"a\\n","stream":"stdout","time":"nonsense"}\n',
    ],
)
def test_torn_lines_cost_only_themselves(torn: bytes) -> None:
    before, after = written([(STDOUT, b"a\n")]), written([(STDOUT, b"b\n")])
    text = shown(before + torn + after)
    assert text.startswith(b"a\n")
    assert text.endswith(b"b\n")


def test_dockers_own_file_is_read() -> None:
    """Trailing zeros left out, escapes as Go writes them."""
    block = (
        b'{"log":"a\\u003cb\\u003e\\n","stream":"stdout","time":"2024-01-01T00:00:00.5Z"}\n'
        b'{"log":"tab\\there\\n","stream":"stderr","time":"2024-01-01T00:00:01Z"}\n'
    )
    assert shown(block, timestamps=True) == (
        b"2024-01-01T00:00:00.500000000Z a<b>\n2024-01-01T00:00:01.000000000Z tab\there\n"
    )
    assert Decoder(View()).first_time(block) == parse_time("2024-01-01T00:00:00.5Z")


def test_skip_leaves_entries_out() -> None:
    decoder = Decoder(View(framed=False))
    decoder.skip = 3
    assert decoder.render(written([(STDOUT, b"a\nb\n"), (STDOUT, b"c\nd\n")])) == b"d\n"


def test_boundary_is_the_end_of_an_entry() -> None:
    encoder = Encoder({})
    entries = encoder.encode(STDOUT, b"a\nb\nc\n", AT)
    first = entries.index(b"\n") + 1
    assert encoder.boundary(entries, 0) == first
    assert encoder.boundary(entries, first) == 2 * first
    assert encoder.boundary(entries, len(entries) - 1) == len(entries)
