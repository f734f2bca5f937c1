"""Signals by name and number, spelled as Docker spells them: KILL, SIGKILL, 9, RTMIN+3, RTMAX-1."""

from __future__ import annotations

import re
import signal

__all__ = ["SIGNALS", "signal_name", "signal_number"]

# The real-time range that programs can use: glibc keeps the kernel's first two.
_RTMIN = int(signal.SIGRTMIN)
_RTMAX = int(signal.SIGRTMAX)

# Names without SIG. Aliases are accepted for input; output uses the first name of a number.
SIGNALS: dict[str, int] = {
    "HUP": 1,
    "INT": 2,
    "QUIT": 3,
    "ILL": 4,
    "TRAP": 5,
    "ABRT": 6,
    "IOT": 6,
    "BUS": 7,
    "FPE": 8,
    "KILL": 9,
    "USR1": 10,
    "SEGV": 11,
    "USR2": 12,
    "PIPE": 13,
    "ALRM": 14,
    "TERM": 15,
    "STKFLT": 16,
    "CHLD": 17,
    "CLD": 17,
    "CONT": 18,
    "STOP": 19,
    "TSTP": 20,
    "TTIN": 21,
    "TTOU": 22,
    "URG": 23,
    "XCPU": 24,
    "XFSZ": 25,
    "VTALRM": 26,
    "PROF": 27,
    "WINCH": 28,
    "IO": 29,
    "POLL": 29,
    "PWR": 30,
    "SYS": 31,
    "UNUSED": 31,
}

_REAL_TIME = re.compile(r"RT(?:MIN(?:\+(\d{1,2}))?|MAX(?:-(\d{1,2}))?)", re.ASCII)


def signal_number(text: str) -> int:
    """The number of a signal as Docker's clients give it, in any case; ValueError when there is none."""
    word = text.strip()
    if word.isascii() and word.isdigit():
        number = int(word)
        if 0 < number <= _RTMAX:
            return number
        raise ValueError(f"Invalid signal: {text}")
    name = word.upper().removeprefix("SIG")
    if name in SIGNALS:
        return SIGNALS[name]
    match = _REAL_TIME.fullmatch(name)
    if match is None:
        raise ValueError(f"Invalid signal: {text}")
    number = _RTMIN + int(match[1] or 0) if name.startswith("RTMIN") else _RTMAX - int(match[2] or 0)
    if not _RTMIN <= number <= _RTMAX:
        raise ValueError(f"Invalid signal: {text}")
    return number


def signal_name(number: int) -> str:
    """The name with SIG; real-time signals as SIGRTMIN+n; ValueError for a number that is none."""
    for name, value in SIGNALS.items():
        if value == number:
            return f"SIG{name}"
    if number == _RTMIN:
        return "SIGRTMIN"
    if _RTMIN < number <= _RTMAX:
        return f"SIGRTMIN+{number - _RTMIN}"
    raise ValueError(f"no signal has the number {number}")
