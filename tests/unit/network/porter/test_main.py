"""When a porter ends. In this process, without a fork."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.network.loop import Loop
from lodge.network.porter import main, messages
from lodge.network.porter.desk import Desk
from lodge.network.porter.main import Porch
from lodge.network.porter.messages import Free, Reserve, Target
from tests.unit.network.turning import turn_for, turn_until


class Playing:
    def __init__(self, directory: str) -> None:
        self.loop = Loop()
        self.desk = Desk(self.loop, 100)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(f"{directory}/s")
        self.porch = Porch(self.loop, self.desk, listener)
        self.engine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.porch.welcome(theirs)

    def say(self, message: messages.Message, *fds: int) -> None:
        socket.send_fds(self.engine, [messages.encode(message)], list(fds))

    def close(self) -> None:
        self.desk.retire()
        self.engine.close()
        turn_for(self.loop, 0.01)
        self.loop.close()


@pytest.fixture
def playing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Playing]:
    monkeypatch.setattr(main, "_IDLE", 0.05)
    # Standard error is the tests' own, not an engine's that has gone.
    monkeypatch.setattr(main.os, "dup2", lambda old, new: None)
    playing = Playing(str(tmp_path))
    yield playing
    playing.close()


def test_it_tires_of_an_engine_without_wishes(playing: Playing) -> None:
    with socket.socket() as port:
        playing.say(Reserve(container="c", key="k", target=Target(protocol="tcp")), port.fileno())
        turn_for(playing.loop, 0.1)
        assert not playing.loop.stopped
        playing.say(Free(request=1, container="c"))
        turn_until(playing.loop, lambda: playing.loop.stopped)


def test_it_stays_for_one_that_changes_its_mind(playing: Playing) -> None:
    with socket.socket() as port:
        reserve = Reserve(container="c", key="k", target=Target(protocol="tcp"))
        playing.say(reserve, port.fileno())
        playing.say(Free(request=1, container="c"))
        playing.say(reserve, port.fileno())
        turn_for(playing.loop, 0.15)
    assert not playing.loop.stopped


def test_it_leaves_at_once_when_nobody_is_there(playing: Playing) -> None:
    playing.engine.close()
    turn_until(playing.loop, lambda: playing.loop.stopped)
    assert not playing.desk.busy


def test_nonsense_is_passed_over(playing: Playing, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as port:
        before = len(os.listdir("/proc/self/fd"))
        for noise in (b"{}", b"\xff", b'{"type":"Open"}', b'{"type":"Nothing"}'):
            socket.send_fds(playing.engine, [noise], [port.fileno()])
        nowhere = Target(protocol="tcp", address="here")
        playing.say(Reserve(container="c", key="k", target=nowhere), port.fileno())
        playing.say(Reserve(container="c", key="k", target=Target(protocol="tcp")), port.fileno())
        turn_until(playing.loop, lambda: playing.desk.busy)
        assert len(os.listdir("/proc/self/fd")) == before + 1
    assert capsys.readouterr().err.count("lodge-porter:") == 5
