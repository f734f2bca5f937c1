"""Moments, in and out."""

import time

import pytest

from lodge.cli.times import api_moment, parse_rfc3339, rfc3339, stamp


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> None:
    # In the POSIX form, which needs no zone files.
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T01:00:01.25+01:00", 1.25),
        ("2026-11-23T23:11:00.123456789Z", 1795475460.123456789),
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
    ],
)
def test_the_engines_moments(text: str, seconds: float) -> None:
    assert parse_rfc3339(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10s", "90.000000000"),
        ("1m30s", "10.000000000"),
        ("0s", "100.000000000"),
        ("1795475460", "1795475460"),
        ("1795475460.5", "1795475460.5"),
        ("2026-11-23T23:11:00Z", "1795475460.000000000"),
        ("2026-11-24T00:11:00+01:00", "1795475460.000000000"),
        ("2026-11-24T00:11:00", "1795475460.000000000"),
        ("2026-11-24T00:11", "1795475460.000000000"),
        ("2026-11-24", "1795474800.000000000"),
    ],
)
def test_the_users_moments(text: str, moment: str) -> None:
    assert api_moment(text, now=100) == moment


@pytest.mark.parametrize("text", ["yesterday", "", "12:00", "1x"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="failed to parse"):
        api_moment(text)


def test_moments_are_printed_in_the_users_zone() -> None:
    assert stamp(1795475460) == "2026-11-24 00:11:00 +0100 CET"
    assert rfc3339(1795475460, ".5") == "2026-11-24T00:11:00.5+01:00"


def test_utc_is_a_z(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert rfc3339(1795475460) == "2026-11-23T23:11:00Z"
