"""Messages with files: whole or not at all, close-on-exec, nothing leaks when something did not fit."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.kernel import sockets


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with left, right:
        yield left, right


def open_files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


Pair = tuple[socket.socket, socket.socket]


def test_a_message_and_its_files_arrive_together(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        sockets.send(pair[0], b"hello", [file.fileno(), file.fileno()])
    message, fds = sockets.receive(pair[1])
    try:
        assert message == b"hello"
        assert len(fds) == 2
        assert os.read(fds[0], 100) == b"content"
        assert all(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC for fd in fds)
    finally:
        for fd in fds:
            os.close(fd)


def test_messages_keep_their_bounds(pair: Pair) -> None:
    sockets.send(pair[0], b"one")
    sockets.send(pair[0], b"two")
    assert sockets.receive(pair[1]) == (b"one", [])
    assert sockets.receive(pair[1]) == (b"two", [])


def test_the_end_is_an_empty_message(pair: Pair) -> None:
    pair[0].close()
    assert sockets.receive(pair[1]) == (b"", [])


def test_a_message_too_long_is_an_error_and_its_files_are_closed(pair: Pair) -> None:
    before = open_files()
    sockets.send(pair[0], b"x" * 100, [0])
    with pytest.raises(OSError, match="longer") as caught:
        sockets.receive(pair[1], size=10)
    assert caught.value.errno == errno.EMSGSIZE
    assert open_files() == before


def test_too_many_files_are_an_error_and_are_closed(pair: Pair) -> None:
    before = open_files()
    sockets.send(pair[0], b"x", [0] * 10)
    with pytest.raises(OSError, match="longer"):
        sockets.receive(pair[1], max_fds=2)
    assert open_files() == before


def test_the_most_files_that_the_kernel_takes(pair: Pair) -> None:
    sockets.send(pair[0], b"x", [0] * sockets.MAX_FDS)
    _, fds = sockets.receive(pair[1], max_fds=sockets.MAX_FDS)
    for fd in fds:
        os.close(fd)
    assert len(fds) == sockets.MAX_FDS
    with pytest.raises(OSError, match=r"Invalid|many"):
        sockets.send(pair[0], b"x", [0] * (sockets.MAX_FDS + 1))


def test_sending_to_nobody_is_an_error_without_a_signal(pair: Pair) -> None:
    pair[1].close()
    with pytest.raises(BrokenPipeError):
        sockets.send(pair[0], b"x")


def test_the_peer_is_known(pair: Pair) -> None:
    assert sockets.peer_credentials(pair[0]) == (os.getpid(), os.getuid(), os.getgid())
