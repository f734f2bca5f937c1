"""Events of a build as BuildKit's clients read them: vertices, their states, logs and warnings."""

from __future__ import annotations

from lodge.api.buildkit.protobuf import Message
from lodge.build import contract as c

_SECOND = 10**9


def moment(at: int) -> Message:
    """Nanoseconds as a time stamp."""
    return {"seconds": at // _SECOND, "nanos": at % _SECOND}


class Progress:
    """Turns one build's events into updates of what is shown."""

    def __init__(self) -> None:
        self._steps: dict[str, c.Step] = {}
        self._begun: dict[str, int] = {}
        self._cached: set[str] = set()
        self._states: dict[tuple[str, str], int] = {}

    def update(self, event: c.BuildEvent) -> Message | None:
        """What to send for an event; None for nothing."""
        match event:
            case c.Started():
                self._steps[event.step.id] = event.step
                self._begun[event.step.id] = event.at
                return {"vertexes": [self._vertex(event.step.id)]}
            case c.Cached():
                self._cached.add(event.step)
                return None
            case c.Finished():
                return {"vertexes": [self._finished(event)]}
            case c.Log():
                log = {
                    "vertex": event.step,
                    "timestamp": moment(event.at),
                    "stream": event.stream,
                    "msg": event.data,
                }
                return {"logs": [log]}
            case c.Status():
                return {"statuses": [self._status(event)]}
            case c.Warned():
                return {"warnings": [warning(event, self._first())]}
            case _:
                return None

    def _first(self) -> str:
        return next(iter(self._steps), "")

    def _vertex(self, id: str) -> Message:
        step = self._steps[id]
        return {
            "digest": id,
            "inputs": list(step.inputs),
            "name": f"[internal] {step.name}"
            if step.internal and not step.name.startswith(("[", "export"))
            else step.name,
            "cached": id in self._cached,
            "started": moment(self._begun[id]),
        }

    def _finished(self, event: c.Finished) -> Message:
        if event.step not in self._steps:
            self._steps[event.step] = c.Step(id=event.step, name=event.step)
            self._begun[event.step] = event.at
        return {**self._vertex(event.step), "completed": moment(event.at), "error": event.error}

    def _status(self, event: c.Status) -> Message:
        begun = self._states.setdefault((event.step, event.id), event.at)
        made: Message = {
            "ID": event.id,
            "vertex": event.step,
            "name": event.id,
            "current": event.current,
            "total": event.total,
            "timestamp": moment(event.at),
            "started": moment(begun),
        }
        if event.done:
            made["completed"] = moment(event.at)
        return made


def warning(event: c.Warned, vertex: str) -> Message:
    """A finding of the checks."""
    return {
        "vertex": vertex,
        "level": 1,
        "short": f"{event.rule}: {event.message} (line {event.lines[0]})".encode(),
        "detail": [event.detail.encode()] if event.detail else [],
        "url": event.url,
        "info": source_info(event.filename, event.source),
        "ranges": [ranges(event.lines)],
    }


def source_info(filename: str, text: str) -> Message:
    """A Dockerfile, for excerpts that the client shows."""
    return {"filename": filename, "data": text.encode("utf-8", "surrogateescape"), "language": "Dockerfile"}


def ranges(lines: tuple[int, int]) -> Message:
    """Lines of it."""
    return {"start": {"line": lines[0]}, "end": {"line": lines[1]}}
