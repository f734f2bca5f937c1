"""Sizes and times in the writing of Docker's tables."""

import pytest

from lodge.cli.human import ago, duration, short_id, shorten, size, size_binary, size_short

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (MINUTE, "About a minute"),
        (2 * MINUTE, "2 minutes"),
        (59 * MINUTE + 59, "59 minutes"),
        (HOUR, "About an hour"),
        (1.4 * HOUR, "About an hour"),
        (1.5 * HOUR, "2 hours"),
        (47 * HOUR, "47 hours"),
        (2 * DAY, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"),
        (729 * DAY, "24 months"),
        (731 * DAY, "2 years"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert ago(seconds) == f"{text} ago"


@pytest.mark.parametrize(
    ("count", "four", "three", "binary"),
    [
        (0, "0B", "0B", "0B"),
        (999, "999B", "999B", "999B"),
        (1000, "1kB", "1kB", "1000B"),
        (1234567, "1.235MB", "1.23MB", "1.177MiB"),
        (2063333, "2.063MB", "2.06MB", "1.968MiB"),
        (10**9, "1GB", "1GB", "953.7MiB"),
        (67108864, "67.11MB", "67.1MB", "64MiB"),
        (10**27, "1000YB", "1000YB", "827.2YiB"),
    ],
)
def test_sizes(count: int, four: str, three: str, binary: str) -> None:
    assert (size(count), size_short(count), size_binary(count)) == (four, three, binary)


def test_texts_are_shortened_with_an_ellipsis() -> None:
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abcde…"
    assert short_id("sha256:" + "a" * 64) == "a" * 12
    assert short_id("b" * 64) == "b" * 12
