"""The bridge to blocking hands."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from lodge.engine.bridge import Bridge
from lodge.errors import NotFound, Unavailable


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge()
    yield made
    made.close()
    made.close()


def test_a_call_runs_elsewhere_and_brings_result_or_error(bridge: Bridge) -> None:
    def fail() -> None:
        raise NotFound("x")

    async def scenario() -> int:
        with pytest.raises(NotFound):
            await bridge.call(fail)
        return await bridge.call(threading.get_ident)

    assert asyncio.run(scenario()) != threading.get_ident()


def test_all_values_arrive_in_order(bridge: Bridge) -> None:
    def make(tell: Callable[[int], None]) -> None:
        for number in range(1000):
            tell(number)

    async def scenario() -> list[int]:
        return [value async for value in bridge.iterate(make)]

    assert asyncio.run(scenario()) == list(range(1000))


def test_an_error_comes_after_the_values(bridge: Bridge) -> None:
    def make(tell: Callable[[int], None]) -> None:
        tell(1)
        raise NotFound("gone")

    async def scenario() -> list[int]:
        values = bridge.iterate(make)
        seen = [await anext(values)]
        with pytest.raises(NotFound):
            await anext(values)
        return seen

    assert asyncio.run(scenario()) == [1]


def test_a_reader_that_leaves_stops_the_work(bridge: Bridge) -> None:
    ended: list[type[BaseException]] = []

    def make(tell: Callable[[int], None]) -> None:
        try:
            for number in range(10**9):
                tell(number)
        except Unavailable as error:
            ended.append(type(error))
            raise

    async def scenario() -> None:
        values = bridge.iterate(make)
        assert await anext(values) == 0
        await values.aclose()  # type: ignore[attr-defined]

    asyncio.run(asyncio.wait_for(scenario(), 10))
    assert ended == [Unavailable]
