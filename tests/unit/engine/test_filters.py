"""Docker's filters that lists share."""

from __future__ import annotations

import pytest

from lodge.engine import filters
from lodge.errors import InvalidArgument

NOW = 1_700_000_000 * 10**9


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1700000000", NOW),
        ("1700000000.5", NOW + 5 * 10**8),
        ("1700000000.123456789", NOW + 123456789),
        ("10m", NOW - 600 * 10**9),
        ("1h30m", NOW - 5400 * 10**9),
        ("1.5s", NOW - 1500 * 10**6),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T23:13:20+01:00", NOW),
        ("2023-11-14", 1_699_920_000 * 10**9),
    ],
)
def test_moments(text: str, moment: int) -> None:
    assert filters.moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "soon", "10x", "1h-3m", "-5"])
def test_no_moments(text: str) -> None:
    with pytest.raises(InvalidArgument):
        filters.moment(text, NOW)


def test_an_unknown_key_is_refused() -> None:
    filters.check_keys({"label": []}, ("label",))
    with pytest.raises(InvalidArgument, match="invalid filter 'colour'"):
        filters.check_keys({"colour": ["red"]}, ("label",))


@pytest.mark.parametrize(
    ("values", "read"), [(["true"], True), (["0"], False), ([], True), (["1", "1"], True)]
)
def test_flags(values: list[str], read: bool) -> None:
    assert filters.flag({"dangling": values}, "dangling", True) is read


@pytest.mark.parametrize("values", [["maybe"], ["true", "false"]])
def test_no_flags(values: list[str]) -> None:
    with pytest.raises(InvalidArgument):
        filters.flag({"dangling": values}, "dangling", True)


def test_labels_of_a_prune() -> None:
    labels = {"keep": "yes", "team": "a"}
    assert filters.prunable(labels, {})
    assert filters.prunable(labels, {"label": ["team=a"]})
    assert not filters.prunable(labels, {"label": ["team=b"]})
    assert not filters.prunable(labels, {"label!": ["keep"]})
    assert filters.prunable(labels, {"label!": ["keep=no"]})


def test_one_until_at_most() -> None:
    assert filters.before({}) is None
    assert filters.before({"until": ["5"]}) == 5 * 10**9
    with pytest.raises(InvalidArgument, match="more than one until filter"):
        filters.before({"until": ["5", "6"]})
