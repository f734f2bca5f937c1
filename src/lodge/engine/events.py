"""Events: published once their rows are committed, remembered for a while, told to whoever listens.

A listener that doesn't read is cut off once too much waits for it, so that it costs nobody else anything
(hostile row 44). Filters are Docker's; the newest events are kept in memory for `since`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

from lodge.engine.filters import matches_labels
from lodge.engine.models import Event

REMEMBERED = 1024
_WAITING = 4096

Filters = dict[str, list[str]]
_ACTORS = ("container", "image", "volume", "network", "daemon", "plugin")


class EventBus:
    """Where events are published. Used by the loop's thread only."""

    def __init__(self) -> None:
        self._past: deque[Event] = deque(maxlen=REMEMBERED)
        self._listeners: dict[asyncio.Queue[Event | None], Callable[[Event], bool]] = {}

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    def publish(self, type: str, action: str, actor_id: str, attributes: dict[str, str]) -> None:
        """Tell everybody that something happened now."""
        event = Event(type=type, action=action, actor_id=actor_id, attributes=attributes, at=time.time_ns())
        self._past.append(event)
        for queue, wanted in list(self._listeners.items()):
            if not wanted(event):
                continue
            if queue.qsize() >= _WAITING:
                self._cut_off(queue)
            else:
                queue.put_nowait(event)

    def _cut_off(self, queue: asyncio.Queue[Event | None]) -> None:
        self._listeners.pop(queue, None)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)

    def subscribe(self, *, since: int, until: int, filters: Filters) -> AsyncIterator[Event]:
        """Events from `since` on (0: from now), up to `until` (0: without end), in nanoseconds.

        Listening begins with the call, not with the first step of the iteration.
        """
        wanted = matcher(filters)
        past = [
            e for e in self._past if since and since <= e.at and (not until or e.at <= until) and wanted(e)
        ]
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        live = not until or until > time.time_ns()
        if live:
            self._listeners[queue] = wanted
        return self._stream(past, queue, until, live=live)

    async def _stream(
        self, past: list[Event], queue: asyncio.Queue[Event | None], until: int, *, live: bool
    ) -> AsyncIterator[Event]:
        try:
            for event in past:
                yield event
            while live:
                event_or_end = await _next(queue, until)
                if event_or_end is None:
                    return
                yield event_or_end
        finally:
            self._listeners.pop(queue, None)

    def close(self) -> None:
        """End all subscriptions."""
        for queue in list(self._listeners):
            self._cut_off(queue)


async def _next(queue: asyncio.Queue[Event | None], until: int) -> Event | None:
    if not until:
        return await queue.get()
    try:
        return await asyncio.wait_for(queue.get(), max(0.0, (until - time.time_ns()) / 1e9))
    except TimeoutError:
        return None


def matcher(filters: Filters) -> Callable[[Event], bool]:
    """Whether an event is wanted: each key must match one of its values. Unknown keys say nothing."""
    tests: list[Callable[[Event], bool]] = []
    if types := filters.get("type"):
        tests.append(lambda e: e.type in types)
    if actions := filters.get("event"):
        tests.append(lambda e: any(e.action == a or e.action.startswith(a + ":") for a in actions))
    if labels := filters.get("label"):
        tests.append(lambda e: matches_labels(e.attributes, labels))
    if scopes := filters.get("scope"):
        tests.append(lambda _: "local" in scopes)
    tests += [_actor_test(key, values) for key in _ACTORS if (values := filters.get(key))]
    return lambda event: all(test(event) for test in tests)


def _actor_test(key: str, values: list[str]) -> Callable[[Event], bool]:
    def test(event: Event) -> bool:
        if key == "image":
            names = (event.actor_id, event.attributes.get("name", ""), event.attributes.get("image", ""))
            return event.type in ("image", "container") and any(
                _same_image(n, v) for n in names for v in values
            )
        if event.type != key:
            return key == "container" and event.attributes.get("container", "") in values
        name = event.attributes.get("name", "")
        return any(v in (event.actor_id, name) or (v and event.actor_id.startswith(v)) for v in values)

    return test


def _same_image(name: str, value: str) -> bool:
    repository = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
    return value in (name, repository)
