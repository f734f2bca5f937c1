"""Moments: the daemon's timestamps, and those that users write for --since and --until."""

from __future__ import annotations

import time

from lodge.cli.flags import parse_duration
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime


def parse_rfc3339(text: str) -> float:
    """Seconds since the epoch of an engine's timestamp, nanoseconds included; 0 for Go's zero time."""
    from datetime import datetime

    if not text or text.startswith("0001-01-01"):
        return 0.0
    head, _, zone = _split_zone(text)
    whole, _, fraction = head.partition(".")
    moment = datetime.fromisoformat(f"{whole}{zone}")
    return moment.timestamp() + (float(f"0.{fraction}") if fraction else 0.0)


def _split_zone(text: str) -> tuple[str, str, str]:
    if text.endswith(("Z", "z")):
        return text[:-1], "", "+00:00"
    at = max(text.rfind("+"), text.rfind("-"))
    if at > 18:
        return text[:at], "", text[at:]
    return text, "", "+00:00"


def local(seconds: float) -> datetime:
    """The moment with the zone of this machine."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, tz=UTC).astimezone()


def stamp(seconds: float) -> str:
    """As Docker's lists print a moment: "2026-11-23 23:11:00 +0000 UTC"."""
    moment = local(seconds)
    return f"{moment:%Y-%m-%d %H:%M:%S %z} {moment.tzname()}"


def rfc3339(seconds: float, fraction: str = "") -> str:
    """The moment in this machine's zone, UTC written as "Z" as Go does."""
    moment = local(seconds)
    zone = moment.strftime("%z")
    zone = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{zone}"


def api_moment(text: str, now: float | None = None) -> str:
    """A user's --since or --until as the API takes it: seconds, with nanoseconds where they were given.

    Accepts a duration back from now ("42m"), RFC 3339 texts with or without time and zone, and seconds.
    ValueError for anything else.
    """
    try:
        back = parse_duration(text)
    except ValueError:
        pass
    else:
        moment = (time.time_ns() if now is None else int(now * 1e9)) - back
        return f"{moment // 1_000_000_000}.{moment % 1_000_000_000:09d}"
    if text.replace(".", "", 1).isdigit():
        return text
    return f"{_local_or_zoned(text):.9f}"


def asked_moment(text: str) -> str | None:
    """The moment of a flag, None when it was not given; InvalidArgument for what is none."""
    try:
        return api_moment(text) if text else None
    except ValueError as error:
        raise InvalidArgument(str(error)) from error


def _local_or_zoned(text: str) -> float:
    from datetime import datetime

    head, _, fraction = text.partition(".")
    zone = ""
    if fraction:
        digits = len(fraction) - len(fraction.lstrip("0123456789"))
        fraction, zone = fraction[:digits], fraction[digits:]
    try:
        moment = datetime.fromisoformat(head + zone)
    except ValueError:
        raise ValueError(f'failed to parse value for "since" or "until": {text!r}') from None
    if moment.tzinfo is None:
        moment = moment.astimezone()  # the user's own clock
    return moment.timestamp() + (float(f"0.{fraction}") if fraction else 0.0)
