"""A build's events as the classic builder's stream: `Step 1/3 : FROM busybox`, ` ---> 1a2b3c4d5e6f`.

Steps that run side by side are told one after the other, in the Dockerfile's order: what a later one says is
kept until it is its turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lodge.api.times import rfc3339
from lodge.build import contract as c
from lodge.build.failures import StepFailed, excerpt
from lodge.engine.build.memory import Record
from lodge.spec.reference import Reference
from lodge.spec.streams import STDERR

Line = dict[str, Any]
_SHORT = 12


class Classic:
    """One build's stream. `quiet` tells only the image's id."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._instructions: list[c.Instruction] = []
        self._place = -1
        self._logs: dict[str, list[c.Log]] = {}
        self._ended: dict[str, c.Finished] = {}
        self._cached: set[str] = set()
        self._working: set[str] = set()
        self._running = ""
        self._last = ""

    def lines(self, event: c.BuildEvent) -> Iterator[Line]:
        """What an event adds to the stream."""
        match event:
            case c.Built():
                yield from self._built(event)
                return
            case c.Planned():
                self._instructions = event.instructions
            case c.Cached():
                self._cached.add(event.step)
            case c.Working():
                self._working.add(event.step)
            case c.Finished():
                self._ended[event.step] = event
            case c.Log():
                if event.step == self._current():
                    yield from self._running_line(event.step)
                    yield from self._stream(_shown(event))
                else:
                    self._logs.setdefault(event.step, []).append(event)
            case _:
                pass
        yield from self._advance()

    def failed(self, failure: StepFailed) -> Iterator[Line]:
        """The last lines of a build that failed."""
        while self._place < len(self._instructions) and self._current() != failure.step:
            self._place += 1
            if self._place < len(self._instructions):
                yield from self._head()
        yield from self._kept_log(failure.step)
        message = failure.message
        detail: Line = {"message": message}
        if failure.exit_code is not None:
            message = f"The command '{failure.command}' returned a non-zero code: {failure.exit_code}"
            detail = {"code": failure.exit_code, "message": message}
        shown = excerpt(failure.source, failure.lines)
        if shown and failure.exit_code is None:
            yield from self._stream(f"{failure.filename}:{failure.lines[0]}\n{shown}\n")
        yield {"errorDetail": detail, "error": message}

    def _current(self) -> str:
        if 0 <= self._place < len(self._instructions):
            return self._instructions[self._place].step
        return ""

    def _advance(self) -> Iterator[Line]:
        """Go on as far as what has happened allows."""
        if self._instructions and self._place < 0:
            self._place = 0
            yield from self._head()
        while 0 <= self._place < len(self._instructions):
            step = self._current()
            following = "" if step else self._following()
            if following and following not in self._cached | self._working:
                # Whether it counts as cached shows in the step that has it in its key.
                return
            if following in self._cached:
                yield from self._stream(" ---> Using cache\n")
            if step:
                ended = self._ended.get(step)
                if ended is None or ended.error:
                    return
                yield from self._kept_log(step)
                if step in self._cached:
                    yield from self._stream(" ---> Using cache\n")
                elif self._running == step:
                    yield from self._stream(f" ---> Removed intermediate container {_short(step)}\n")
                    self._running = ""
                self._last = ended.result or self._last
            yield from self._stream(f" ---> {_short(self._last) if self._last else ''}\n")
            self._place += 1
            if self._place < len(self._instructions):
                yield from self._head()

    def _following(self) -> str:
        """The next step that makes something."""
        rest = self._instructions[self._place + 1 :]
        return next((each.step for each in rest if each.step), "")

    def _head(self) -> Iterator[Line]:
        code = " ".join(self._instructions[self._place].code.split())
        yield from self._stream(f"Step {self._place + 1}/{len(self._instructions)} : {code}\n")

    def _kept_log(self, step: str) -> Iterator[Line]:
        for event in self._logs.pop(step, ()):
            yield from self._running_line(step)
            yield from self._stream(_shown(event))

    def _running_line(self, step: str) -> Iterator[Line]:
        if self._running != step:
            self._running = step
            yield from self._stream(f" ---> Running in {_short(step)}\n")

    def _stream(self, text: str) -> Iterator[Line]:
        if not self._quiet:
            yield {"stream": text}

    def _built(self, event: c.Built) -> Iterator[Line]:
        if not event.images:
            return
        image = event.images[0].config_digest
        if self._quiet:
            yield {"stream": f"{image}\n"}
            return
        yield {"aux": {"ID": image}}
        yield {"stream": f"Successfully built {_short(image)}\n"}
        for name in event.names:
            yield {"stream": f"Successfully tagged {Reference.parse_name(name).familiar()}\n"}


def _shown(event: c.Log) -> str:
    """Errors are red, as with Docker's builder, terminal or not."""
    text = event.data.decode(errors="replace")
    return f"\x1b[91m{text}\x1b[0m" if event.stream == STDERR else text


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:_SHORT]


def record(value: Record) -> Line:
    """One entry of the cache, as `system df` shows it."""
    return {
        "ID": value.id,
        "Parents": [value.parent] if value.parent else [],
        "Type": value.kind,
        "Description": value.description,
        "InUse": value.in_use,
        "Shared": value.shared,
        "Size": value.size,
        "CreatedAt": rfc3339(value.created_at),
        "LastUsedAt": rfc3339(value.used_at),
        "UsageCount": value.uses,
    }
