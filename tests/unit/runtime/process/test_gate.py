"""The gate: one Start, one answer, whoever waits and whoever starts."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.errors import Conflict, Internal, StartFailed
from lodge.runtime.process import gate as g
from lodge.runtime.process import handshake


@pytest.fixture
def silence() -> Iterator[int]:
    """A descriptor that never becomes readable, for the pidfd of an init that lives."""
    reader, writer = os.pipe()
    yield reader
    os.close(reader)
    os.close(writer)


def init(gate: g.Gate, answer: bytes) -> threading.Thread:
    def wait() -> None:
        os.read(gate.wait, len(handshake.START))
        if answer:
            os.write(gate.answer, answer)
        gate.close()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_an_init_that_runs_its_program(tmp_path: Path, silence: int) -> None:
    gate = g.make_gate(str(tmp_path))
    assert g.is_waiting(str(tmp_path))
    thread = init(gate, b"")
    g.pass_gate(str(tmp_path), silence)
    thread.join()
    assert not g.is_waiting(str(tmp_path))
    with pytest.raises(Conflict, match="already running"):
        g.pass_gate(str(tmp_path), silence)
    g.forget_gate(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_what_execve_refused_comes_back(tmp_path: Path, silence: int) -> None:
    thread = init(g.make_gate(str(tmp_path)), handshake.failed(StartFailed("exec /x: no", exit_code=126)))
    with pytest.raises(StartFailed, match="exec /x: no") as caught:
        g.pass_gate(str(tmp_path), silence)
    assert caught.value.exit_code == 126
    thread.join()


def test_nonsense_as_an_answer(tmp_path: Path, silence: int) -> None:
    thread = init(g.make_gate(str(tmp_path)), handshake.START)
    with pytest.raises(Internal):
        g.pass_gate(str(tmp_path), silence)
    thread.join()


def test_an_init_that_is_gone(tmp_path: Path, silence: int) -> None:
    g.make_gate(str(tmp_path)).close()
    with pytest.raises(Conflict, match="has stopped"):
        g.pass_gate(str(tmp_path), silence)
