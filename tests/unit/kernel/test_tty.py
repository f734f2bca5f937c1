"""Terminals: pairs, sizes, raw mode and back."""

import fcntl
import os
import termios
from collections.abc import Iterator

import pytest

from lodge.kernel import tty


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    master, slave = tty.open_pty()
    yield master, slave
    os.close(master)
    os.close(slave)


def test_what_is_written_to_the_master_is_read_from_the_slave(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    os.write(master, b"line\n")
    assert os.read(slave, 100) == b"line\n"
    assert os.isatty(slave)


def test_both_ends_are_close_on_exec(terminal: tuple[int, int]) -> None:
    assert all(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC for fd in terminal)


def test_the_window_size(terminal: tuple[int, int]) -> None:
    tty.set_window_size(terminal[0], 40, 132)
    assert tty.window_size(terminal[1]) == (40, 132)
    assert os.get_terminal_size(terminal[1]) == (132, 40)


def test_raw_mode_and_back(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    before = termios.tcgetattr(slave)
    saved = tty.make_raw(slave)
    os.write(master, b"\x03a\r")
    assert os.read(slave, 100) == b"\x03a\r"
    os.write(slave, b"\n")
    assert os.read(master, 100) == b"\n"
    tty.restore(slave, saved)
    assert termios.tcgetattr(slave) == before
    os.write(slave, b"\n")
    assert os.read(master, 100) == b"\r\n"


def test_a_missing_devpts_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        tty.open_pty("/no/such/ptmx")
