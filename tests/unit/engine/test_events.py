"""Events: in order, filtered, remembered, and no listener costs another anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from lodge.engine import events
from lodge.engine.events import EventBus
from lodge.engine.models import Event


def published(bus: EventBus, action: str, **attributes: str) -> None:
    bus.publish("container", action, "c" * 64, {"name": "box", "image": "busybox:latest", **attributes})


async def take(stream: AsyncIterator[Event], count: int) -> list[str]:
    return [(await asyncio.wait_for(anext(stream), 5)).action for _ in range(count)]


def test_listening_begins_with_the_call() -> None:
    async def scenario() -> list[str]:
        bus = EventBus()
        stream = bus.subscribe(since=0, until=0, filters={})
        published(bus, "create")
        published(bus, "start")
        return await take(stream, 2)

    assert asyncio.run(scenario()) == ["create", "start"]


def test_the_past_comes_first_and_only_when_it_is_asked_for() -> None:
    async def scenario() -> tuple[list[str], list[str]]:
        bus = EventBus()
        published(bus, "create")
        with_past = bus.subscribe(since=1, until=0, filters={})
        without = bus.subscribe(since=0, until=0, filters={})
        published(bus, "start")
        return await take(with_past, 2), await take(without, 1)

    assert asyncio.run(scenario()) == (["create", "start"], ["start"])


def test_until_in_the_past_ends_at_once() -> None:
    async def scenario() -> list[str]:
        bus = EventBus()
        published(bus, "create")
        return [event.action async for event in bus.subscribe(since=1, until=2**62, filters={"event": ["x"]})]

    async def bounded() -> list[str]:
        bus = EventBus()
        published(bus, "create")
        stream = bus.subscribe(since=1, until=2, filters={})
        return [event.action async for event in stream]

    assert asyncio.run(bounded()) == []
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(scenario(), 0.05))


def test_one_who_never_reads_is_cut_off_and_nobody_else() -> None:
    async def scenario() -> tuple[int, list[str]]:
        bus = EventBus()
        lazy = bus.subscribe(since=0, until=0, filters={})
        good = bus.subscribe(since=0, until=0, filters={"event": ["last"]})
        for _ in range(events._WAITING + 10):
            published(bus, "top")
        published(bus, "last")
        assert bus.listeners == 1
        left = [event async for event in lazy]
        return len(left), await take(good, 1)

    assert asyncio.run(scenario()) == (0, ["last"])


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, True),
        ({"type": ["container"]}, True),
        ({"type": ["image"]}, False),
        ({"event": ["exec_create"]}, True),
        ({"event": ["exec_start", "die"]}, False),
        ({"container": ["box"]}, True),
        ({"container": ["cccc"]}, True),
        ({"container": ["other"]}, False),
        ({"image": ["busybox"]}, True),
        ({"image": ["busybox:latest"]}, True),
        ({"image": ["debian"]}, False),
        ({"label": ["a"]}, True),
        ({"label": ["a=b"]}, True),
        ({"label": ["a=c"]}, False),
        ({"type": ["container"], "label": ["zz"]}, False),
        ({"volume": ["box"]}, False),
        ({"unknown": ["x"]}, True),
    ],
)
def test_filters(filters: dict[str, list[str]], wanted: bool) -> None:
    event = Event(
        type="container",
        action="exec_create: sh -c true",
        actor_id="c" * 64,
        attributes={"name": "box", "image": "busybox:latest", "a": "b"},
        at=1,
    )
    assert events.matcher(filters)(event) is wanted
