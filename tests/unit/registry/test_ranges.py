import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.registry import ranges
from lodge.registry.ranges import Span
from lodge.registry.refusals import Refusal


@pytest.mark.parametrize(
    ("header", "size", "span"),
    [
        (None, 10, None),
        ("bytes=0-", 10, Span(0, 10)),
        ("bytes=2-4", 10, Span(2, 5)),
        ("bytes=2-99", 10, Span(2, 10)),
        ("bytes=-3", 10, Span(7, 10)),
        ("bytes=-30", 10, Span(0, 10)),
        ("bytes=0-1,3-4", 10, None),
        ("items=0-1", 10, None),
        ("bytes=-", 10, None),
    ],
)
def test_ranges_of_downloads(header: str | None, size: int, span: Span | None) -> None:
    assert ranges.of_download(header, size) == span


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=0-", 0), ("bytes=-0", 9), ("bytes=5-4", 9)]
)
def test_ranges_outside_are_not_satisfiable(header: str, size: int) -> None:
    with pytest.raises(Refusal) as caught:
        ranges.of_download(header, size)
    assert caught.value.status == 416
    assert caught.value.headers == (("Content-Range", f"bytes */{size}"),)


@given(st.text(max_size=30), st.integers(0, 1000))
def test_what_is_sent_lies_inside(header: str, size: int) -> None:
    try:
        span = ranges.of_download("bytes=" + header, size)
    except Refusal:
        return
    assert span is None or 0 <= span.start < span.end <= size


@pytest.mark.parametrize(
    ("header", "span"), [("0-9", Span(0, 10)), ("10-10", Span(10, 11)), ("bytes 5-6/9", Span(5, 7))]
)
def test_chunks(header: str, span: Span) -> None:
    assert ranges.of_chunk(header) == span


@pytest.mark.parametrize("header", ["", "x", "5", "5-", "-5", "7-5", "٣-٤"])
def test_chunks_that_say_nonsense(header: str) -> None:
    with pytest.raises(Refusal) as caught:
        ranges.of_chunk(header)
    assert caught.value.status == 400
