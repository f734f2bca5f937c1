import os
import socket
from collections.abc import Iterator

import pytest

from lodge.network.loop import HANGUP, READ, WRITE, Loop
from tests.unit.network.turning import turn_for, turn_until


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def test_files_call_back(loop: Loop) -> None:
    one, other = socket.socketpair()
    seen: list[int] = []

    def serve(events: int) -> None:
        seen.append(events)
        loop.change(one.fileno(), WRITE if events & READ else READ)
        if events & READ:
            one.recv(1)

    with one, other:
        loop.watch(one.fileno(), READ, serve)
        other.send(b"x")
        turn_until(loop, lambda: len(seen) > 1)
        loop.forget(one.fileno())
        loop.forget(one.fileno())
        other.send(b"x")
        turn_for(loop, 0.02)
    assert [events & (READ | WRITE) for events in seen] == [READ, WRITE]


def test_a_hangup_is_told_without_asking(loop: Loop) -> None:
    one, other = socket.socketpair()
    seen: list[int] = []
    with one:
        loop.watch(one.fileno(), 0, seen.append)
        other.close()
        turn_until(loop, lambda: bool(seen))
        loop.forget(one.fileno())
    assert seen[0] & HANGUP


def test_a_file_that_is_forgotten_in_a_round_is_not_served_in_it(loop: Loop) -> None:
    pairs = [os.pipe() for _ in range(2)]
    served: list[int] = []

    def serve(fd: int, other: int) -> None:
        served.append(fd)
        os.read(fd, 1)
        loop.forget(other)

    (first, first_in), (second, second_in) = pairs
    loop.watch(first, READ, lambda _: serve(first, second))
    loop.watch(second, READ, lambda _: serve(second, first))
    os.write(first_in, b"x")
    os.write(second_in, b"x")
    turn_for(loop, 0.03)
    for fd in (first, first_in, second, second_in):
        loop.forget(fd)
        os.close(fd)
    assert len(served) == 1


def test_timers_in_their_order(loop: Loop) -> None:
    seen: list[str] = []
    loop.later(0.02, lambda: seen.append("late"))
    loop.later(0.001, lambda: seen.append("early"))
    loop.later(0.001, lambda: seen.append("never")).cancel()
    turn_until(loop, lambda: "late" in seen)
    assert seen == ["early", "late"]


def test_a_callback_that_fails_is_reported_and_the_rest_goes_on(
    loop: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []

    def fail() -> None:
        raise RuntimeError("a defect")

    for _ in range(50):
        loop.later(0, fail)
    loop.later(0.001, lambda: seen.append("on"))
    loop.later(0.002, loop.stop)
    loop.run()
    assert seen == ["on"]
    assert 1 <= capsys.readouterr().err.count("a defect") <= 20
