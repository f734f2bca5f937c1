"""Signals as readable bytes, so that one poll loop can serve streams and signals alike.

The C module `_signal` is used: `import signal` builds enums for 3 ms at every start of the command.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for the C half
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_raw: Any = _signal

# Not passed on: SIGKILL and SIGSTOP cannot be, SIGCHLD and SIGPIPE are ours, faults belong to this process,
# SIGTTIN and SIGTTOU stop a background job, SIGURG is nobody's, SIGWINCH becomes a resize.
_KEPT = [
    "KILL",
    "STOP",
    "CHLD",
    "PIPE",
    "SEGV",
    "BUS",
    "FPE",
    "ILL",
    "TRAP",
    "ABRT",
    "SYS",
    "TTIN",
    "TTOU",
    "URG",
    "WINCH",
    "PROF",
    "VTALRM",
]

NAMES = {
    int(getattr(_raw, name)): name[3:]
    for name in dir(_raw)
    if name.startswith("SIG") and name[3].isalpha() and name not in ("SIGCLD", "SIGPOLL", "SIGIOT")
}
FORWARDED = tuple(number for number, name in NAMES.items() if name not in _KEPT and not name.startswith("RT"))
WINDOW_CHANGED: int = _raw.SIGWINCH
FATAL: tuple[int, ...] = (_raw.SIGHUP, _raw.SIGINT, _raw.SIGQUIT, _raw.SIGTERM)


def _note(number: int, frame: object) -> None:
    """The wake-up descriptor carries the number; the handler has to exist for that."""


class SignalPipe:
    """Catches `numbers` until it is closed; `fileno()` becomes readable, `take()` gives what arrived."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._before = {}
        self._wakeup = _raw.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in numbers:
            self._before[number] = _raw.signal(number, _note)

    def fileno(self) -> int:
        """The descriptor to poll on."""
        return self._reader

    def take(self) -> list[int]:
        """The numbers that arrived since the last call, in order."""
        try:
            return list(os.read(self._reader, 512))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Put the former handlers back."""
        for number, handler in self._before.items():
            _raw.signal(number, handler if handler is not None else _raw.SIG_DFL)
        _raw.set_wakeup_fd(self._wakeup)
        os.close(self._reader)
        os.close(self._writer)


def die_of(number: int) -> None:
    """End this process by the signal itself, so that a shell sees what happened."""
    _raw.signal(number, _raw.SIG_DFL)
    os.kill(os.getpid(), number)
