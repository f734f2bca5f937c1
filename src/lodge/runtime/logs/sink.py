"""The writing end of a container's log, as its monitor holds it.

Never fails and never blocks on a full disk: what can't be written is counted and reported, and the program is
not disturbed. The formats are next door in `json_file` and `local`, services that it is sent on to in
`forward`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from lodge.errors import InvalidArgument
from lodge.runtime.logs import json_file, local
from lodge.runtime.logs.cutter import Cutter
from lodge.runtime.logs.reader import LogReader
from lodge.runtime.logs.rotation import RotatingFile
from lodge.runtime.logs.view import View
from lodge.runtime.messages import LogSpec
from lodge.spec.streams import STDERR, STDOUT

if TYPE_CHECKING:
    from lodge.runtime.logs.forward import Forwarder

# While the disk stays full, the trouble is told so seldom (seconds).
_REPORT_EVERY = 10.0


class Encoder(Protocol):
    """A format, as it is written."""

    def encode(self, stream: int, group: bytes, at_ns: int) -> bytes:
        """A group of whole lines, or a piece of a line, as entries."""

    def boundary(self, entries: bytes, at: int) -> int:
        """Where the entry ends in which the place `at` lies."""

    def lines(self, entries: bytes) -> int:
        """How many lines some entries of whole lines hold."""


_ENCODERS: dict[str, Callable[[dict[str, str]], Encoder]] = {
    "json-file": json_file.Encoder,
    "local": local.Encoder,
}


class LogSink:
    """Owns the files. `on_trouble(message, dropped bytes)` hears of lost output, and "" when it is over."""

    def __init__(self, spec: LogSpec, on_trouble: Callable[[str, int], None]) -> None:
        self._spec = spec
        self._on_trouble = on_trouble
        self._cutters = {STDOUT: Cutter(), STDERR: Cutter()}
        self.dropped = 0
        self._in_trouble = False
        self._reported_at = 0.0
        self._file: RotatingFile | None = None
        self._forwarder: Forwarder | None = None
        if spec.forward is not None:
            from lodge.runtime.logs.services import open_forwarder

            self._forwarder = open_forwarder(spec.forward, on_trouble)
        if spec.driver == "none":
            return
        if spec.driver not in _ENCODERS:
            raise InvalidArgument(f"unknown log driver {spec.driver}")
        self._encoder = _ENCODERS[spec.driver](spec.attributes)
        self._file = RotatingFile(
            spec.path, max_size=spec.max_size, max_files=spec.max_files, compress=spec.compress
        )

    def write(self, stream: int, data: bytes) -> None:
        """Log a chunk of output: whole lines now, the beginning of a line when its end has come."""
        if self._file is None and self._forwarder is None:
            return
        now = time.time_ns()
        for group in self._cutters[stream].feed(data):
            self._log(stream, group, now)

    def _log(self, stream: int, group: bytes, now: int) -> None:
        if self._forwarder is not None:
            self._forwarder.send(stream, group, now)
        if self._file is not None:
            self._append(self._file, stream, group, now)

    def _append(self, file: RotatingFile, stream: int, group: bytes, now: int) -> None:
        try:
            while group:
                written = self._append_fitting(file, stream, group, now)
                group = group[written:]
        except OSError as error:
            self.dropped += len(group)
            self._report(error.strerror or str(error))
        else:
            if self._in_trouble:
                self._in_trouble = False
                self._on_trouble("", self.dropped)

    def _append_fitting(self, file: RotatingFile, stream: int, group: bytes, now: int) -> int:
        """Write as much of a group as the file holds; how much that was.

        The rest gets a time of its own: readers tell rotated files apart by the time of their first entry.
        """
        room = file.room
        if room is not None and room <= 0:
            file.rotate()
            room = file.room
        if room is None:
            file.write(self._encoder.encode(stream, group, now))
            return len(group)
        # Entries are never shorter than their text, so no more than this can fit.
        group = group[: group.find(b"\n", room) + 1 or len(group)]
        entries = self._encoder.encode(stream, group, now)
        if len(entries) > room:
            entries = entries[: self._encoder.boundary(entries, room)]
        file.write(entries)
        lines = self._encoder.lines(entries)
        if b"\n" not in group or lines == group.count(b"\n"):
            return len(group)
        return len(group) - len(group.split(b"\n", lines)[-1])

    def _report(self, message: str) -> None:
        now = time.monotonic()
        if not self._in_trouble or now - self._reported_at > _REPORT_EVERY:
            self._in_trouble = True
            self._reported_at = now
            self._on_trouble(f"output can't be logged: {message}", self.dropped)

    def replay(self, *, wanted: frozenset[int], framed: bool) -> Callable[[], tuple[bytes, bool]]:
        """What was written so far, as pieces (bytes, whether there is more).

        The last piece ends where the program's output stands at that moment, unfinished lines included.
        """
        view = View(wanted=wanted, framed=framed)
        if self._file is None:
            return lambda: (b"", False)
        reader = LogReader(self._spec, view)

        def source() -> tuple[bytes, bool]:
            data = reader.read()
            if data:
                return data, True
            reader.close()
            return b"".join(view.form(stream, cutter.rest) for stream, cutter in self._cutters.items()), False

        return source

    def reopen(self) -> None:
        """Open the path anew."""
        if self._file is not None:
            self._file.reopen()

    def close(self) -> None:
        """Write what has no end, close; idempotent."""
        for stream, cutter in self._cutters.items():
            if rest := cutter.finish():
                self._log(stream, rest, time.time_ns())
        if self._forwarder is not None:
            self._forwarder.close()
            self._forwarder = None
        if self._file is not None:
            self._file.close()
            self._file = None
