"""Moments and spans as Docker writes them: RFC 3339 with nanoseconds, and "2 minutes". Pure."""

from __future__ import annotations

import time

NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time: what clients read as "never"."""


def rfc3339(at: int) -> str:
    """Nanoseconds since the epoch as Go's RFC3339Nano writes them (no zeros at the end); 0 is NEVER."""
    if not at:
        return NEVER
    seconds, fraction = divmod(at, 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{fraction:09d}".rstrip("0") + "Z" if fraction else text + "Z"


def rfc3339_seconds(at: int) -> str:
    """The same, to the second."""
    return rfc3339(at - at % 1_000_000_000)


def span(seconds: float) -> str:
    """A span for people, in go-units' words."""
    if seconds < 1:
        return "Less than a second"
    whole = int(seconds)
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    minutes = whole // 60
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    for limit, unit, name in ((336, 24, "days"), (1440, 168, "weeks"), (17520, 720, "months")):
        if hours < limit:
            return f"{hours // unit} {name}"
    return f"{int(seconds / 3600) // 24 // 365} years"
