"""The poll loop: files, timers, and numbers that come to mean another file within one round."""

import os
import socket
import time

from lodge.runtime.monitor.loop import READ, WRITE, Loop


def test_callbacks_get_what_is_due() -> None:
    loop = Loop()
    reader, writer = os.pipe()
    seen: list[int] = []
    loop.watch(reader, READ, seen.append)
    os.write(writer, b"x")
    loop.turn()
    assert seen == [READ]
    loop.forget(reader)
    loop.forget(reader)
    os.close(writer)
    os.close(reader)


def test_timers_come_in_order_and_can_be_cancelled() -> None:
    loop = Loop()
    seen: list[str] = []
    loop.later(0.02, lambda: seen.append("second"))
    loop.later(0.01, lambda: seen.append("first"))
    loop.later(0.015, lambda: seen.append("never")).cancel()
    loop.later(0.03, loop.stop)
    start = time.monotonic()
    loop.run()
    assert seen == ["first", "second"]
    assert 0.025 < time.monotonic() - start < 1


def test_a_new_file_is_not_told_of_events_of_an_old_one_with_its_number() -> None:
    loop = Loop()
    ours, theirs = socket.socketpair()
    other_reader, other_writer = os.pipe()
    seen: list[str] = []

    def replace(_events: int) -> None:
        """Both were ready in this round; the first callback closes the second and takes its number."""
        number = ours.detach()
        loop.forget(number)
        os.close(number)
        fresh = os.open(os.devnull, os.O_RDONLY)
        if fresh != number:
            os.dup2(fresh, number)
            os.close(fresh)
        loop.watch(number, READ, lambda _events: seen.append("wrong"))
        loop.forget(other_reader)
        stale.append(number)

    stale: list[int] = []
    loop.watch(other_reader, READ, replace)
    loop.watch(ours.fileno(), READ | WRITE, lambda _events: None)
    os.write(other_writer, b"x")
    theirs.send(b"x")
    loop.turn()
    assert "wrong" not in seen
    for number in stale:
        loop.forget(number)
        os.close(number)
    for fd in (other_reader, other_writer):
        os.close(fd)
    theirs.close()
