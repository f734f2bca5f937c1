"""The user's terminal: raw mode that is always undone, and its size."""

from __future__ import annotations

import os
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class RawTerminal:
    """Puts a terminal into raw mode for a `with` block; what is no terminal is left alone."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._saved: list[Any] | None = None

    def __enter__(self) -> None:
        try:
            self._saved = termios.tcgetattr(self._descriptor)
        except termios.error:
            return
        # tcsetattr(3), cfmakeraw: no editing, no signals from keys, eight bits, each byte at once.
        raw = list(self._saved)
        raw[0] &= ~(
            termios.IGNBRK
            | termios.BRKINT
            | termios.PARMRK
            | termios.ISTRIP
            | termios.INLCR
            | termios.IGNCR
            | termios.ICRNL
            | termios.IXON
        )
        raw[1] &= ~termios.OPOST
        raw[2] = raw[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        raw[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        raw[6] = list(raw[6])
        raw[6][termios.VMIN] = 1
        raw[6][termios.VTIME] = 0
        termios.tcsetattr(self._descriptor, termios.TCSANOW, raw)

    def __exit__(self, *_: object) -> None:
        if self._saved is not None:
            termios.tcsetattr(self._descriptor, termios.TCSANOW, self._saved)


def size(descriptor: int = 1) -> tuple[int, int] | None:
    """Rows and columns of the terminal behind `descriptor`, None where there is none."""
    try:
        columns, rows = os.get_terminal_size(descriptor)
    except OSError:
        return None
    return (rows, columns) if rows and columns else None


def columns(default: int = 80) -> int:
    """The width to draw in."""
    found = size()
    return found[1] if found else default
