"""Docker's filters that several lists share: labels, times, and keys that are not known.

Pure. A filter is a key with any number of values, already in one spelling.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from lodge.errors import InvalidArgument

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_EPOCH = re.compile(r"\d+(?:\.\d{1,9})?")


def check_keys(filters: Mapping[str, Sequence[str]], known: Collection[str]) -> None:
    """InvalidArgument for a key that this list doesn't know."""
    for key in filters:
        if key not in known:
            raise InvalidArgument(f"invalid filter '{key}'")


def matches_labels(labels: Mapping[str, str], wanted: Sequence[str]) -> bool:
    """Whether every wanted label, `key` or `key=value`, is there."""
    for want in wanted:
        key, equals, value = want.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def prunable(labels: Mapping[str, str], filters: Mapping[str, Sequence[str]]) -> bool:
    """Whether prune's label filters choose it: all of `label`, none of `label!`."""
    if not matches_labels(labels, filters.get("label", ())):
        return False
    return not any(matches_labels(labels, [unwanted]) for unwanted in filters.get("label!", ()))


def flag(filters: Mapping[str, Sequence[str]], key: str, default: bool) -> bool:
    """A filter that is a yes or no; InvalidArgument when its values say neither or both."""
    values = filters.get(key)
    if not values:
        return default
    read = {"1": True, "true": True, "0": False, "false": False}
    if len(set(values)) != 1 or values[0].lower() not in read:
        raise InvalidArgument(f"invalid filter '{key}=[{' '.join(values)}]'")
    return read[values[0].lower()]


def moment(text: str, now: int | None = None) -> int:
    """Nanoseconds since the epoch of what people write: seconds, a time, or how long ago (10m, 1h30m).

    InvalidArgument when it is none of these.
    """
    if _EPOCH.fullmatch(text):
        seconds, _, fraction = text.partition(".")
        return int(seconds) * 10**9 + int((fraction + "0" * 9)[:9])
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        ago = sum(float(number) * _UNITS[unit] for number, unit in parts)
        return (time.time_ns() if now is None else now) - int(ago)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(f'failed to parse value as time or duration: "{text}"') from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return int(when.timestamp() * 10**6) * 1000


def before(filters: Mapping[str, Sequence[str]]) -> int | None:
    """The moment of prune's `until` filter; None without one, InvalidArgument for more than one."""
    values = filters.get("until")
    if not values:
        return None
    if len(values) > 1:
        raise InvalidArgument("more than one until filter specified")
    return moment(values[0])
