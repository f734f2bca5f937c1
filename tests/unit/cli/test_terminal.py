"""Sessions at a real terminal (a pseudo-terminal): raw mode and back, size, keys that detach."""

import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.fake_engine import FakeEngine, Reply

ID = "d" * 64


class Terminal:
    """The command in a process of its own, at a terminal of 40 columns and 12 rows."""

    def __init__(self, *arguments: str) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(12, 40)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lodge", *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            env={**os.environ, "DOCKER_CONFIG": "/nonexistent"},
        )

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    def read_until(self, text: bytes, patience: float = 10) -> bytes:
        seen = b""
        deadline = time.monotonic() + patience
        while text not in seen:
            assert time.monotonic() < deadline, f"{text!r} is not in {seen!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                seen += os.read(self.master, 1000)
        return seen

    def is_raw(self) -> bool:
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def end(self) -> int:
        return self.process.wait(10)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def shell(engine: FakeEngine) -> FakeEngine:
    """An engine whose program at a terminal repeats what is typed, and ends on "q"."""

    def echo(connection: socket.socket) -> None:
        connection.sendall(b"ready\r\n")
        while (data := connection.recv(100)) and b"q" not in data:
            connection.sendall(b"<" + data + b">")

    engine.on("POST", "/containers/create", Reply({"Id": ID}, 201))
    engine.on("POST", f"/containers/{ID}/attach", Reply(status=101, hijack=echo))
    engine.on("POST", f"/containers/{ID}/wait", Reply({"StatusCode": 3}))
    engine.on("POST", f"/containers/{ID}/start", Reply(status=204))
    engine.on("POST", f"/containers/{ID}/resize", Reply())
    engine.on("POST", f"/containers/{ID}/kill", Reply(status=204))
    engine.on("POST", "/containers/web/exec", Reply({"Id": ID}, 201))
    engine.on("POST", f"/exec/{ID}/start", Reply(status=101, hijack=echo))
    engine.on("POST", f"/exec/{ID}/resize", Reply())
    engine.on("GET", f"/exec/{ID}/json", Reply({"ExitCode": 6}))
    return engine


@pytest.fixture
def terminal(shell: FakeEngine, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal("-H", shell.host, "run", "-it", "busybox", "sh")
    terminal.read_until(b"ready")
    yield terminal
    terminal.close()


def sizes(shell: FakeEngine) -> list[tuple[str, str]]:
    return [
        (request.query["h"], request.query["w"])
        for request in shell.requests
        if request.path.endswith("/resize")
    ]


def test_keys_go_to_the_program_one_by_one(shell: FakeEngine, terminal: Terminal) -> None:
    terminal.type(b"x\x03\r")
    terminal.read_until(b"<x\x03\r>")
    assert terminal.is_raw()
    terminal.type(b"q")
    assert terminal.end() == 3
    assert termios.tcgetattr(terminal.slave) == terminal.before


def test_the_size_is_sent_at_the_start_and_when_it_changes(shell: FakeEngine, terminal: Terminal) -> None:
    assert shell.requests[0].json()["HostConfig"]["ConsoleSize"] == [12, 40]
    assert sizes(shell) == [("12", "40")]
    terminal.resize(20, 50)
    terminal.process.send_signal(signal.SIGWINCH)
    deadline = time.monotonic() + 5
    while len(sizes(shell)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sizes(shell)[-1] == ("20", "50")
    terminal.type(b"q")
    terminal.end()


def test_the_detach_keys_leave_the_program_alone(shell: FakeEngine, terminal: Terminal) -> None:
    terminal.type(b"a\x10\x11")
    assert terminal.end() == 0
    assert termios.tcgetattr(terminal.slave) == terminal.before
    assert not shell.asked(f"/containers/{ID}/kill")


def test_a_signal_is_passed_on_and_the_terminal_comes_back_whatever_happens(
    shell: FakeEngine, terminal: Terminal
) -> None:
    terminal.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 5
    while not shell.asked(f"/containers/{ID}/kill") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert shell.asked(f"/containers/{ID}/kill")[0].query == {"signal": "TERM"}
    shell.close()  # the daemon dies: the session ends
    terminal.process.send_signal(signal.SIGTERM)
    terminal.end()
    assert termios.tcgetattr(terminal.slave) == terminal.before


def test_own_detach_keys(shell: FakeEngine) -> None:
    terminal = Terminal("-H", shell.host, "run", "-it", "--detach-keys", "ctrl-a,x", "busybox")
    try:
        terminal.read_until(b"ready")
        terminal.type(b"\x10\x11")
        terminal.read_until(b"<\x10\x11>")
        terminal.type(b"\x01x")
        assert terminal.end() == 0
        assert shell.asked(f"/containers/{ID}/attach")[0].query["detachKeys"] == "ctrl-a,x"
    finally:
        terminal.close()


def test_exec_at_a_terminal(shell: FakeEngine) -> None:
    terminal = Terminal("-H", shell.host, "exec", "-it", "web", "sh")
    try:
        terminal.read_until(b"ready")
        assert shell.asked("/containers/web/exec")[0].json()["ConsoleSize"] == [12, 40]
        terminal.process.send_signal(signal.SIGTERM)  # exec passes nothing on: it is for the command itself
        assert terminal.end() == -signal.SIGTERM
        assert termios.tcgetattr(terminal.slave) == terminal.before
    finally:
        terminal.close()
