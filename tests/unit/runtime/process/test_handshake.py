"""The dialogue: what is expected gets through, everything else is an error and leaks no file."""

import os
import socket
from collections.abc import Iterator

import pytest

from lodge import errors
from lodge.kernel import sockets
from lodge.runtime.process import handshake as h


@pytest.fixture
def ends() -> Iterator[tuple[h.Channel, h.Channel]]:
    keeper, child = h.Channel.pair()
    yield keeper, child
    keeper.close()
    child.close()


def open_fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_each_message_arrives_as_itself(ends: tuple[h.Channel, h.Channel]) -> None:
    keeper, child = ends
    for message in (h.Mapped(), h.HooksDone(), h.Listening(), h.Start()):
        keeper.send(message)
        assert child.expect(type(message)) == message
    child.send(h.ListenerOpened(7))
    assert keeper.expect_any(h.ListenerOpened) == (h.ListenerOpened(7), -1)


def test_files_travel(ends: tuple[h.Channel, h.Channel]) -> None:
    keeper, child = ends
    reader, writer = os.pipe()
    child.send(h.TerminalOpened(), writer)
    keeper.send(h.Settled(), reader, writer)
    _, master = keeper.expect_any(h.TerminalOpened, h.Ready)
    entries = child.expect_entries()
    os.write(master, b"x")
    assert os.read(entries[0], 1) == b"x"
    for fd in (reader, writer, master, *entries):
        assert os.close(fd) is None


def test_wrong_order(ends: tuple[h.Channel, h.Channel]) -> None:
    keeper, child = ends
    child.send(h.Ready())
    with pytest.raises(errors.Internal, match="Ready with 0 files came where HooksDue or TerminalOpened"):
        keeper.expect_any(h.HooksDue, h.TerminalOpened)
    keeper.send(h.HooksDone())
    with pytest.raises(errors.Internal, match="HooksDone"):
        child.expect(h.Mapped)


def test_a_file_that_nobody_asked_for_is_closed(ends: tuple[h.Channel, h.Channel]) -> None:
    keeper, child = ends
    before = open_fds()
    child.send(h.Ready(), 0)
    with pytest.raises(errors.Internal, match="Ready with 1 files"):
        keeper.expect_any(h.Ready)
    child.send(h.TerminalOpened())
    with pytest.raises(errors.Internal, match="TerminalOpened with 0 files"):
        keeper.expect_any(h.TerminalOpened)
    assert open_fds() == before


@pytest.mark.parametrize("packet", [b"x", b"{}", b'{"type":"Unknown"}', b'{"type":"Failed"}', b"[]"])
def test_what_is_no_message(ends: tuple[h.Channel, h.Channel], packet: bytes) -> None:
    keeper, child = ends
    os.write(child.fileno(), packet)
    with pytest.raises(errors.Internal):
        keeper.expect_any(h.Ready)


def test_the_end_is_a_failure_before_ready_and_success_after(ends: tuple[h.Channel, h.Channel]) -> None:
    keeper, child = ends
    child.close()
    with pytest.raises(errors.StartFailed, match="killed while it was set up"):
        keeper.expect_any(h.Ready)
    keeper.expect_end()
    assert keeper.sock.recv(1) == b""


def test_the_end_with_words_unread(ends: tuple[h.Channel, h.Channel]) -> None:
    keeper, child = ends
    keeper.send(h.Start())
    child.close()
    with pytest.raises(errors.StartFailed):
        keeper.expect_any(h.Ready)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.StartFailed("no such thing", exit_code=127), errors.StartFailed),
        (errors.InvalidArgument("bad"), errors.InvalidArgument),
        (errors.Unsupported("not here"), errors.Unsupported),
        (OSError(13, "Permission denied", "/x"), errors.StartFailed),
        (RuntimeError("odd"), errors.StartFailed),
    ],
)
def test_a_failure_is_raised_as_what_it_was(
    ends: tuple[h.Channel, h.Channel], error: Exception, kind: type[errors.LodgeError]
) -> None:
    keeper, child = ends
    os.write(child.fileno(), h.failed(error))
    with pytest.raises(kind) as caught:
        keeper.expect_any(h.Ready)
    assert str(error) in caught.value.message
    if isinstance(error, errors.StartFailed):
        assert isinstance(caught.value, errors.StartFailed)
        assert caught.value.exit_code == error.exit_code


def test_a_long_failure_is_cut(ends: tuple[h.Channel, h.Channel]) -> None:
    keeper, child = ends
    os.write(child.fileno(), h.failed(RuntimeError("x" * 100_000)))
    with pytest.raises(errors.StartFailed) as caught:
        keeper.expect_end()
    assert len(caught.value.message) < h.MAX_TEXT + 10


def test_a_keeper_that_is_gone(ends: tuple[h.Channel, h.Channel]) -> None:
    keeper, child = ends
    keeper.close()
    with pytest.raises(errors.StartFailed, match="keeper is gone"):
        child.expect(h.Mapped)
    with pytest.raises(errors.StartFailed, match="keeper is gone"):
        child.expect_entries()
    with pytest.raises(BrokenPipeError):
        child.send(h.Ready())


def test_files_on_a_message_without_any(ends: tuple[h.Channel, h.Channel]) -> None:
    keeper, child = ends
    sockets.send(keeper.sock, b'{"type":"Mapped"}', [0])
    with pytest.raises(errors.Internal):
        child.expect_entries()
    assert isinstance(child.sock, socket.socket)
