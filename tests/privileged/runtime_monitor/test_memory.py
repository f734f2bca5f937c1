"""Programs that run out of memory: told at once, and never forgotten."""

from typing import Any

import pytest

from lodge.runtime.messages import Exited, OutOfMemory, Query, Signal, Start
from lodge.spec.runtime import Memory, Resources
from tests.contract.runtime.conftest import House

EAT = "head -c 100000000 /dev/zero | tail"


def limited(house: House, script: str) -> dict[str, Any]:
    order = house.order(script, log=None)
    order["config"].linux.resources = Resources(memory=Memory(limit=16 << 20, swap=16 << 20))
    return order


def test_news_comes_while_the_container_goes_on(house: House) -> None:
    talk = house.talk(limited(house, f"{EAT}; echo survived; sleep 60"))
    client = talk.attach(framed=False)
    talk.done(Start)
    talk.fact(OutOfMemory)
    client.read_until(b"survived")
    assert talk.ask(Query).oom_kills > 0
    talk.done(Signal, number=9)
    exited = talk.fact(Exited)
    assert (exited.code, exited.oom_killed) == (137, True)


@pytest.mark.parametrize("_round", range(10))
def test_end_by_lack_of_memory_is_always_told(house: House, _round: int) -> None:
    talk = house.talk(limited(house, "exec tail /dev/zero"))
    talk.done(Start)
    exited = talk.fact(Exited)
    assert (exited.code, exited.oom_killed) == (137, True)


def test_kill_is_no_lack_of_memory(house: House) -> None:
    talk = house.talk(limited(house, "sleep 60"))
    talk.done(Start)
    talk.done(Signal, number=9)
    exited = talk.fact(Exited)
    assert (exited.code, exited.oom_killed) == (137, False)
