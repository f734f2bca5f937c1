"""The progress of pulls, loads and bootstraps: live bars on a terminal, plain lines elsewhere.

The daemon sends JSON messages (`status`, `id`, `progressDetail`, `stream`, `errorDetail`, `aux`). Each `id`
has one row, which is redrawn in place on a terminal.
"""

from __future__ import annotations

import os
import sys

from lodge.client.failures import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, TextIO

_BAR_WIDTH = 50


def show_progress(
    messages: Generator[Any, None, None], *, quiet: bool = False, to_stderr: bool = False
) -> list[dict[str, Any]]:
    """Show `messages` until they end and return their `aux` values. `Failed` when one of them is an error."""
    screen = _Screen(sys.stderr if to_stderr else sys.stdout)
    found = []
    try:
        for message in messages:
            if failure := message.get("errorDetail") or message.get("error"):
                text = failure.get("message") if isinstance(failure, dict) else failure
                raise Failed(str(text))
            if "aux" in message:
                found.append(message["aux"])
            elif not quiet:
                screen.show(message)
    finally:
        messages.close()  # an error ends the reading early: its connection is given back now
    return found


class _Screen:
    """Where the rows stand: the cursor is kept below the last row."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._live = output.isatty() and os.environ.get("TERM") != "dumb"
        self._rows: dict[str, int] = {}

    def show(self, message: dict[str, Any]) -> None:
        if (text := message.get("stream")) is not None:
            self._output.write(text)
            self._output.flush()
            return
        name = str(message.get("id") or "")
        line = f"{name}: {message.get('status', '')}" if name else str(message.get("status", ""))
        detail = message.get("progressDetail") or {}
        if not self._live:
            if not detail:
                self._output.write(line + "\n")
            return
        bar = draw_bar(detail) if detail else str(message.get("progress") or "")
        self._draw(name, f"{line} {bar}".rstrip())

    def _draw(self, name: str, line: str) -> None:
        """Write over the row of `name`; a new name, or none, gets a new row at the end."""
        if not name or name not in self._rows:
            if name:
                self._rows[name] = len(self._rows)
            else:
                self._rows.clear()
            self._output.write(f"\x1b[2K\r{line}\n")
        else:
            up = len(self._rows) - self._rows[name]
            self._output.write(f"\x1b[{up}A\x1b[2K\r{line}\r\x1b[{up}B")
        self._output.flush()


def draw_bar(detail: dict[str, Any]) -> str:
    """`[=====>    ]  1.2MB/3MB` of a progressDetail with `current` and `total` (bytes, or `units`)."""
    from lodge.cli.human import size

    current, total = int(detail.get("current") or 0), int(detail.get("total") or 0)
    if detail.get("units"):
        return f"{current}/{total} {detail['units']}" if total else f"{current} {detail['units']}"
    if total <= 0 or current > total:
        return size(current) if current else ""
    filled = _BAR_WIDTH * current // total
    bar = "=" * filled + ">" if filled < _BAR_WIDTH else "=" * _BAR_WIDTH + ">"
    return f"[{bar:<{_BAR_WIDTH}}]  {size(current):>8}/{size(total)}"
