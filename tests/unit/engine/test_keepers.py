"""The talk with a monitor: answers find their requests, failures are kinds, an end is told once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from lodge.engine.keepers import Keeper
from lodge.errors import Conflict, StartFailed, Unavailable
from lodge.runtime.link import EngineLink, MonitorLink
from lodge.runtime.messages import Done, Event, Failed, OutOfMemory, Pause, Resume, Started


class Talk:
    """A keeper, the monitor's end of its link, and what the keeper told."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.facts: list[Event] = []
        self.ends = 0
        self.monitor = EngineLink(theirs)
        self.keeper = Keeper(MonitorLink(ours), self.facts.append, self._ended)

    def _ended(self) -> None:
        self.ends += 1


def played(scene: Callable[[Talk], Awaitable[None]]) -> None:
    async def play() -> None:
        talk = Talk()
        try:
            await asyncio.wait_for(scene(talk), 5)
        finally:
            talk.keeper.close()
            talk.monitor.close()

    asyncio.run(play())


def test_answers_find_their_requests() -> None:
    async def scene(talk: Talk) -> None:
        first = talk.keeper.post(Pause(request=1))
        second = talk.keeper.post(Resume(request=2))
        talk.monitor.send(Done(request=1, pid=7))
        talk.monitor.send(Failed(request=2, kind="Conflict", message="not paused"))
        assert (await first) == Done(request=1, pid=7)
        with pytest.raises(Conflict, match="not paused"):
            await second

    played(scene)


def test_facts_come_in_order_and_between_answers() -> None:
    async def scene(talk: Talk) -> None:
        answer = talk.keeper.post(Pause(request=5))
        talk.monitor.send(Started(pid=3, at_ns=4))
        talk.monitor.send(Done(request=5))
        talk.monitor.send(OutOfMemory())
        await answer
        await asyncio.sleep(0)
        assert talk.facts == [Started(pid=3, at_ns=4), OutOfMemory()]

    played(scene)


def test_a_failed_start_carries_its_exit_code() -> None:
    async def scene(talk: Talk) -> None:
        answer = talk.keeper.expect(1)
        talk.monitor.send(Failed(request=1, kind="StartFailed", message="no", exit_code=127))
        with pytest.raises(StartFailed) as caught:
            await answer
        assert caught.value.exit_code == 127

    played(scene)


def test_an_end_fails_what_waits_and_is_told_once() -> None:
    async def scene(talk: Talk) -> None:
        answer = talk.keeper.post(Pause(request=1))
        talk.monitor.close()
        with pytest.raises(Unavailable):
            await answer
        assert talk.ends == 1
        assert talk.keeper.ended
        with pytest.raises(Unavailable):
            await talk.keeper.post(Pause(request=2))
        assert talk.ends == 1

    played(scene)


def test_who_leaves_is_told_nothing() -> None:
    async def scene(talk: Talk) -> None:
        talk.keeper.close()
        talk.keeper.close()
        assert talk.ends == 0

    played(scene)


def test_a_full_socket_loses_nothing() -> None:
    async def scene(talk: Talk) -> None:
        count = 3000
        answers = [talk.keeper.post(Pause(request=number)) for number in range(count)]
        seen = 0
        while seen < count:
            for message, _ in talk.monitor.receive():
                talk.monitor.send(Done(request=message.request))
                seen += 1
            talk.monitor.flush()
            await asyncio.sleep(0)
        while not talk.monitor.flush():
            await asyncio.sleep(0)
        assert [answer.request for answer in await asyncio.gather(*answers)] == list(range(count))

    played(scene)
