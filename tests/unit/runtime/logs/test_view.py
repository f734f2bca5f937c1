"""Times and forms."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.runtime.logs.view import Stamper, View, parse_time, show_attributes, show_time, time_text
from lodge.spec.streams import STDERR, STDOUT


@given(ns=st.integers(0, 4_000_000_000 * 10**9))
def test_times_are_what_they_say(ns: int) -> None:
    text = time_text(ns)
    assert parse_time(text) == ns
    second = datetime.datetime.fromtimestamp(ns // 10**9, tz=datetime.UTC)
    assert text.startswith(second.strftime("%Y-%m-%dT%H:%M:%S."))
    assert show_time(text) == text


@given(times=st.lists(st.integers(0, 10**19), min_size=2, max_size=2).map(sorted))
def test_texts_are_ordered_as_times(times: list[int]) -> None:
    early, late = (time % (253402300799 * 10**9) for time in times)
    assert (time_text(early) < time_text(late)) == (early < late)


@given(ns=st.integers(0, 4_000_000_000 * 10**9))
def test_stamp_is_at_most_two_nanoseconds_late(ns: int) -> None:
    stamper = Stamper()
    first, second = stamper.stamp(ns).decode(), stamper.stamp(ns).decode()
    assert first != second
    for stamp in (first, second):
        assert not stamp.endswith("0Z")
        assert 0 <= parse_time(stamp) - ns <= 3


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01T00:00:00Z", "2024-01-01"])
def test_nonsense_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the reason
        parse_time(text)


def test_form_leaves_out_what_is_not_wanted() -> None:
    view = View(wanted=frozenset((STDERR,)))
    assert view.form(STDOUT, b"x") == b""
    assert view.form(STDERR, b"") == b""
    assert view.form(STDERR, b"x") == b"\x02\0\0\0\0\0\0\x01x"
    assert View(framed=False).form(STDOUT, b"x") == b"x"


def test_attributes_are_sorted_and_quoted() -> None:
    assert show_attributes({"b": "c d", "a": "x,y=z"}) == "a=x%2Cy%3Dz,b=c+d"
