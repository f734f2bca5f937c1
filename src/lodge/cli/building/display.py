"""The display of a build: plain lines, or a picture on a terminal that is drawn again and again.

Both follow the same events (`Started`, `Cached`, `Log`, `Finished`, ...), as the daemon sends them.
"""

from __future__ import annotations

import base64
import sys
import time

from lodge.cli.colour import paint
from lodge.cli.terminal import columns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol, TextIO

    Event = dict[str, Any]

    class Display(Protocol):
        """What shows a build."""

        def show(self, event: Event) -> None:
            """Take an event."""

        def finish(self) -> None:
            """The build has ended."""


_RED, _BLUE, _DIM = "31", "34", "2"
_BILLION = 1_000_000_000
_INTERVAL = 0.1
_TAIL = 6


class Quiet:
    """Shows nothing."""

    def show(self, event: Event) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""


class Plain:
    """One line after the other, each with its step's number."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._numbers: dict[str, int] = {}
        self._begun: dict[str, int] = {}
        self._cached: set[str] = set()
        self._partial: dict[str, bytes] = {}
        self._last = 0

    def show(self, event: Event) -> None:
        """Write what an event says."""
        kind = event["type"]
        if kind == "Started":
            step = event["step"]
            self._numbers[step["id"]] = len(self._numbers) + 1
            self._begun[step["id"]] = event["at"]
            self._write(step["id"], step["name"])
        elif kind == "Cached":
            self._cached.add(event["step"])
            self._write(event["step"], "CACHED")
        elif kind == "Log":
            self._log(event)
        elif kind == "Status" and event.get("done"):
            self._write(event["step"], f"{event['id']} done")
        elif kind == "Finished":
            self._finished(event)
        elif kind == "Warned":
            self._output.write(f"\n - {event['rule']}: {event['message']} (line {event['lines'][0]})\n")

    def _log(self, event: Event) -> None:
        step = event["step"]
        seconds = (event["at"] - self._begun.get(step, event["at"])) / _BILLION
        data = self._partial.pop(step, b"") + base64.b64decode(event["data"])
        *lines, rest = data.split(b"\n")
        if rest:
            self._partial[step] = rest
        for line in lines:
            self._write(step, f"{seconds:.3f} {line.decode(errors='replace')}")

    def _finished(self, event: Event) -> None:
        step = event["step"]
        if rest := self._partial.pop(step, b""):
            self._write(step, rest.decode(errors="replace"))
        if event["error"]:
            self._write(step, f"ERROR: {event['error']}")
        elif step not in self._cached:
            seconds = (event["at"] - self._begun.get(step, event["at"])) / _BILLION
            self._write(step, f"DONE {seconds:.1f}s")
        self._last = 0
        self._output.write("\n")
        self._output.flush()

    def _write(self, step: str, text: str) -> None:
        number = self._numbers.get(step, 0)
        if self._last and self._last != number:
            self._output.write("\n")
        self._last = number
        self._output.write(f"#{number} {text}\n")
        self._output.flush()

    def finish(self) -> None:
        """Nothing is left."""


class Live:
    """A picture: each step with its time, the last lines of those that run."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._steps: dict[str, Event] = {}
        self._begun: dict[str, float] = {}
        self._spent: dict[str, float] = {}
        self._state: dict[str, str] = {}
        self._tails: dict[str, list[str]] = {}
        self._total = 0
        self._start = time.monotonic()
        self._drawn = 0
        self._next = 0.0

    def show(self, event: Event) -> None:
        """Take an event, and draw when it is time to."""
        kind = event["type"]
        if kind == "Planned":
            self._total = len(event["steps"]) + 1
        elif kind == "Started":
            step = event["step"]["id"]
            self._steps[step] = event["step"]
            self._begun[step] = time.monotonic()
            self._state[step] = ""
        elif kind == "Cached":
            self._state[event["step"]] = "CACHED"
        elif kind == "Log":
            text = base64.b64decode(event["data"]).decode(errors="replace")
            tail = self._tails.setdefault(event["step"], [])
            tail += [line for line in text.splitlines() if line.strip()]
            del tail[:-_TAIL]
        elif kind == "Finished":
            step = event["step"]
            self._spent[step] = time.monotonic() - self._begun.get(step, time.monotonic())
            if event["error"]:
                self._state[step] = "ERROR"
        if time.monotonic() >= self._next:
            self._draw()
            self._next = time.monotonic() + _INTERVAL

    def finish(self) -> None:
        """Draw the last picture."""
        self._draw()

    def _draw(self) -> None:
        width = columns()
        seconds = time.monotonic() - self._start
        state = "FINISHED" if len(self._spent) == len(self._steps) else ""
        rows = [
            f"[+] Building {seconds:.1f}s ({len(self._spent)}/{max(self._total, len(self._steps))}) {state}"
        ]
        for step, described in self._steps.items():
            if described["internal"] and step in self._spent and not self._state.get(step):
                rows.append(self._row(step, described["name"], width, _DIM))
                continue
            rows.append(self._row(step, described["name"], width, ""))
            if step not in self._spent:
                rows += [f" => => # {line}"[:width] for line in self._tails.get(step, ())]
        text = "".join(f"\x1b[2K{row}\n" for row in rows)
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        more = "\x1b[2K\n" * max(0, self._drawn - len(rows))
        back = f"\x1b[{self._drawn - len(rows)}A" if self._drawn > len(rows) else ""
        self._output.write(up + text + more + back)
        self._output.flush()
        self._drawn = len(rows)

    def _row(self, step: str, name: str, width: int, style: str) -> str:
        state = self._state.get(step, "")
        spent = self._spent.get(step, time.monotonic() - self._begun.get(step, time.monotonic()))
        mark = f"{state} " if state else ""
        end = f" {spent:.1f}s"
        room = max(10, width - len(end) - 4)
        line = f" => {mark}{name}"[:room].ljust(room) + end
        colour = _RED if state == "ERROR" else style or (_BLUE if step in self._spent else "")
        return paint(line, colour, self._output) if colour else line


def choose(progress: str, *, quiet: bool) -> Display:
    """The display that was asked for: auto, plain, tty, quiet."""
    if quiet or progress in ("quiet", "none"):
        return Quiet()
    if progress == "tty" or (progress == "auto" and sys.stderr.isatty()):
        return Live(sys.stderr)
    return Plain(sys.stderr)
