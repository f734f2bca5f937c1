"""Query parameters."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.api.queries import Form, parse_filters
from lodge.errors import InvalidArgument


@pytest.mark.parametrize("text", ["", "0", "no", "False", " none "])
def test_false(text: str) -> None:
    assert not Form("x=" + quote(text)).flag("x", True)


def test_true_and_default() -> None:
    assert Form("x=1").flag("x")
    assert Form("x=anything").flag("x")
    assert Form("").flag("x", True)


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_round_trip(values: dict[str, str]) -> None:
    form = Form(urlencode(values))
    assert {name: form.text(name) for name in values} == values


def test_numbers() -> None:
    assert Form("t=-1").integer("t") == -1
    assert Form("").integer("t") is None
    with pytest.raises(InvalidArgument, match='parsing "zz": invalid syntax'):
        Form("t=zz").integer("t")
    assert Form("h=24").unsigned("h", "resize height") == 24
    for bad in ("", "a", "-1", "4294967296", "+1"):
        with pytest.raises(InvalidArgument, match="invalid resize height"):
            Form(f"h={quote(bad)}").unsigned("h", "resize height")


def test_moments() -> None:
    assert Form("since=12.5").moment("since") == 12_500_000_000
    assert Form("since=1700000000.123456789").moment("since") == 1700000000123456789
    assert Form("").moment("since") == 0
    with pytest.raises(InvalidArgument, match="since"):
        Form("since=zz").moment("since")


def test_filters_in_both_spellings() -> None:
    assert parse_filters('{"label":["a","b","a"]}') == {"label": ["a", "b"]}
    assert parse_filters('{"label":{"a=b":true}}') == {"label": ["a=b"]}
    assert parse_filters("") == {}
    for bad in ("zz", "[]", '{"a":1}', '{"a":{"b":1}}', "[" * 5000):
        with pytest.raises(InvalidArgument, match="invalid filter"):
            parse_filters(bad)


@given(st.dictionaries(st.text(), st.lists(st.text(), min_size=1, unique=True)))
def test_any_filter(filters: dict[str, list[str]]) -> None:
    assert parse_filters(json.dumps(filters)) == filters
