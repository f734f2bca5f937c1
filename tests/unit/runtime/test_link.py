"""Links carry messages of any size with their files, never block, and say when the other side is gone."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.runtime.link import EngineLink, LinkBroken, MonitorLink, bind_unix
from lodge.runtime.messages import Attach, Done, Execute, Query, Start
from lodge.spec.runtime import Process

Pair = tuple[MonitorLink, EngineLink]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    engine, monitor = MonitorLink(ours), EngineLink(theirs)
    yield engine, monitor
    engine.close()
    monitor.close()


def test_messages_arrive_in_order_each_once(pair: Pair) -> None:
    engine, monitor = pair
    assert monitor.receive() == []
    engine.send(Start(request=1))
    engine.send(Query(request=2))
    assert [message for message, _ in monitor.receive()] == [Start(request=1), Query(request=2)]
    assert monitor.receive() == []
    monitor.send(Done(request=1, pid=7))
    assert engine.receive() == [(Done(request=1, pid=7), [])]


def test_files_travel_along(pair: Pair) -> None:
    engine, monitor = pair
    reader, writer = os.pipe()
    engine.send(Attach(request=1, received=b"\xff\x00"), [writer])
    os.close(writer)
    [(message, [fd])] = monitor.receive()
    assert message.received == b"\xff\x00"
    assert not os.get_inheritable(fd)
    os.write(fd, b"through")
    os.close(fd)
    assert os.read(reader, 10) == b"through"
    os.close(reader)


def test_large_message_is_enclosed(pair: Pair) -> None:
    engine, monitor = pair
    order = Execute(request=1, exec_id="e", process=Process(cwd="/", env=["A=" + "x" * 3_000_000]))
    reader, writer = os.pipe()
    engine.send(order, [writer])
    [(message, fds)] = monitor.receive()
    assert message == order
    assert len(fds) == 1
    for fd in (reader, writer, *fds):
        os.close(fd)


def test_full_socket_queues_and_flushes(pair: Pair) -> None:
    engine, monitor = pair
    reader, writer = os.pipe()
    for number in range(3000):
        engine.send(Attach(request=number), [writer])
    os.close(writer)
    assert engine.backlog > 0
    received = []
    while len(received) < 3000:
        received += monitor.receive()
        engine.flush()
    assert [message.request for message, _ in received] == list(range(3000))
    assert engine.backlog == 0
    assert engine.flush()
    for _, fds in received:
        os.close(fds[0])
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_other_side_that_never_reads_is_given_up(pair: Pair) -> None:
    engine, _monitor = pair

    def send_many() -> None:
        for number in range(10_000):
            engine.send(Query(request=number))

    with pytest.raises(LinkBroken, match="does not read"):
        send_many()
    assert engine.ended


def test_end_is_told_after_the_last_message(pair: Pair) -> None:
    engine, monitor = pair
    monitor.send(Done(request=1))
    monitor.close()
    assert engine.receive() == [(Done(request=1), [])]
    assert engine.ended
    assert engine.receive() == []
    with pytest.raises(LinkBroken):
        engine.send(Start(request=1))


def test_last_words_are_read_although_no_answer_reaches_the_speaker(pair: Pair) -> None:
    engine, monitor = pair
    engine.send(Query(request=1))
    engine.send(Start(request=2))
    engine.close()
    with pytest.raises(LinkBroken, match="does not listen"):
        monitor.send(Done(request=1))
    assert [message.request for message, _ in monitor.receive()] == [1, 2]
    assert monitor.ended


@pytest.mark.parametrize(
    "text", [b"rubbish", b"{}", b'{"type":"Nonsense","request":1}', b'{"type":"Start"}', b"@"]
)
def test_unreadable_message_breaks_the_link(text: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    monitor = EngineLink(theirs)
    reader, writer = os.pipe()
    with ours:
        if text == b"@":
            ours.send(text)
        else:
            socket.send_fds(ours, [text], [writer])
    os.close(writer)
    with pytest.raises(LinkBroken, match="can't be read"):
        monitor.receive()
    assert monitor.ended
    # The stray file was closed.
    assert os.read(reader, 1) == b""
    os.close(reader)
    monitor.close()


def test_messages_of_the_wrong_side_are_refused(pair: Pair) -> None:
    engine, monitor = pair
    engine.send(Done(request=1))
    with pytest.raises(LinkBroken):
        monitor.receive()


def test_paths_may_be_long_and_are_private(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 200)
    directory.mkdir()
    path = str(directory / "monitor.sock")
    for _ in range(2):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        bind_unix(listener, path)
        listener.listen()
        assert os.stat(path).st_mode & 0o777 == 0o600
        link = MonitorLink.connect(path)
        accepted = EngineLink(listener.accept()[0])
        link.send(Query(request=1))
        assert accepted.receive() == [(Query(request=1), [])]
        for each in (link, accepted, listener):
            each.close()
    with pytest.raises(OSError, match="refused"):
        MonitorLink.connect(path)
    with pytest.raises(FileNotFoundError):
        MonitorLink.connect(str(tmp_path / "nothing"))
