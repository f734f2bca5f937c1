"""HEALTHCHECK: its durations as Go spells them, its command."""

from __future__ import annotations

import re

from lodge.build.dockerfile.flags import Flags
from lodge.build.dockerfile.problems import DockerfileError
from lodge.spec.container import HealthCheck

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)", re.ASCII)
_WHOLE = re.compile(r"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+", re.ASCII)
_SHORTEST = 10**6


def duration(text: str) -> int:
    """Go's duration (`1m30s`) in nanoseconds. DockerfileError for anything else."""
    if text == "0":
        return 0
    if not _WHOLE.fullmatch(text):
        raise DockerfileError(f'time: invalid duration "{text}"', hint="30s, 1m30s, 500ms")
    total = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return int(-total if text.startswith("-") else total)


def read_health(rest: str, flags: Flags) -> HealthCheck:
    """The check; `test` begins with NONE, CMD or CMD-SHELL."""
    from lodge.build.dockerfile.reading import json_words

    parts = rest.split(None, 1)
    if not parts:
        raise DockerfileError("HEALTHCHECK requires at least one argument")
    kind, command = parts[0].upper(), parts[1] if len(parts) > 1 else ""
    if kind == "NONE":
        if command:
            raise DockerfileError("HEALTHCHECK NONE takes no arguments")
        return HealthCheck(test=["NONE"])
    if kind != "CMD":
        raise DockerfileError(f'Unknown type "{kind}" in HEALTHCHECK (try CMD)')
    words = json_words(command)
    if not (words if words is not None else command):
        raise DockerfileError("Missing command after HEALTHCHECK CMD")
    return HealthCheck(
        test=["CMD", *words] if words is not None else ["CMD-SHELL", command],
        interval=_interval(flags, "interval"),
        timeout=_interval(flags, "timeout"),
        start_period=_interval(flags, "start-period"),
        start_interval=_interval(flags, "start-interval"),
        retries=_retries(flags.text("retries")),
    )


def _interval(flags: Flags, name: str) -> int:
    text = flags.text(name)
    value = duration(text) if text else 0
    if value and value < _SHORTEST:
        raise DockerfileError(f'Interval "{name}" cannot be less than 1ms')
    return value


def _retries(text: str) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII):
        raise DockerfileError(f'strconv.ParseInt: parsing "{text}": invalid syntax', hint="--retries=3")
    if int(text) < 0:
        raise DockerfileError(f"--retries cannot be negative ({text})")
    return int(text)
