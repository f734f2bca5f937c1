"""Sizes and times as people read them, in the writing of Docker's tables."""

from __future__ import annotations

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


def _scaled(value: float, base: float, units: tuple[str, ...], digits: int) -> str:
    step = 0
    while value >= base and step < len(units) - 1:
        value /= base
        step += 1
    return f"{significant(value, digits)}{units[step]}"


def significant(value: float, digits: int) -> str:
    """`value` with at most `digits` significant digits, as C's %.*g but never with an exponent."""
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e" in text else text


def size(count: float) -> str:
    """Bytes in powers of 1000 with four digits: "1.234MB", "980B"."""
    return _scaled(count, 1000.0, _DECIMAL, 4)


def size_short(count: float) -> str:
    """Bytes in powers of 1000 with three digits: "1.23MB", as in the columns of `stats`."""
    return _scaled(count, 1000.0, _DECIMAL, 3)


def size_binary(count: float) -> str:
    """Bytes in powers of 1024 with four digits: "64MiB"."""
    return _scaled(count, 1024.0, _BINARY, 4)


def duration(seconds: float) -> str:
    """A time span in words: "Less than a second", "About a minute", "3 hours", "5 weeks"."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"


def ago(seconds: float) -> str:
    """A past moment: "2 minutes ago"."""
    return f"{duration(seconds)} ago"


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` characters, the last of them an ellipsis where something is left out."""
    return text if len(text) <= width else text[: width - 1] + "…"


def short_id(identifier: str) -> str:
    """The first twelve digits of an ID, without its algorithm."""
    return identifier.partition(":")[2][:12] if ":" in identifier else identifier[:12]
