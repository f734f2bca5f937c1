"""Many clients at once, some of them dead: nobody else loses anything, memory is bounded (hostile row 44)."""

from __future__ import annotations

import http.client
import json
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.clients.daemon import Lodged

SUBSCRIBERS = 1000
VOLUMES = 60
LOGS = 100
LINES = 200


class _Http(http.client.HTTPConnection):
    """HTTP over the daemon's socket."""

    def __init__(self, path: str) -> None:
        super().__init__("lodge")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def _call(client: _Http, method: str, path: str, body: object = None) -> Any:
    data = json.dumps(body) if body is not None else None
    client.request(method, path, data, {"Content-Type": "application/json"} if data else {})
    answer = client.getresponse()
    content = answer.read()
    assert answer.status < 400, (path, answer.status, content)
    return json.loads(content) if content else None


@contextmanager
def _stream(path: str, request: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(path)
        stream.sendall(f"GET {request} HTTP/1.0\r\n\r\n".encode())
        yield stream


def _memory(lodged: Lodged) -> int:
    """Bytes of the daemon alone."""
    assert lodged.process is not None
    status = Path(f"/proc/{lodged.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def _drain(streams: list[socket.socket], enough: Any, patience: float) -> dict[socket.socket, bytearray]:
    """Read all streams until `enough` says of each that it has all, or the patience is over."""
    got = {stream: bytearray() for stream in streams}
    open_ones = set(streams)
    by_fd = {stream.fileno(): stream for stream in streams}
    poll = select.epoll()
    for stream in streams:
        stream.setblocking(False)
        poll.register(stream.fileno(), select.EPOLLIN)
    end = time.monotonic() + patience
    while open_ones and time.monotonic() < end:
        for fd, _ in poll.poll(0.5):
            stream = by_fd[fd]
            data = stream.recv(1 << 20)
            got[stream] += data
            if not data or enough(got[stream]):
                poll.unregister(fd)
                open_ones.discard(stream)
    poll.close()
    return got


def test_a_thousand_subscribers_one_of_them_dead(own_lodged: Lodged) -> None:
    with ExitStack() as stack:
        streams = [stack.enter_context(_stream(own_lodged.socket, "/events")) for _ in range(SUBSCRIBERS)]
        client = _Http(own_lodged.socket)
        _call(client, "GET", "/version")
        before = _memory(own_lodged)
        label = {"weight": "x" * 20_000}
        for number in range(VOLUMES):
            _call(client, "POST", "/volumes/create", {"Name": f"many-{number}", "Labels": label})
        dead, living = streams[0], streams[1:]
        wanted = b'"Action":"create"'
        got = _drain(living, lambda data: data.count(wanted) == VOLUMES, 30)
        assert {data.count(wanted) for data in got.values()} == {VOLUMES}
        assert dead.fileno() >= 0
        assert _memory(own_lodged) - before < 64 << 20
        for number in range(VOLUMES):
            _call(client, "DELETE", f"/volumes/many-{number}")
        client.close()


def _lines(data: bytearray) -> list[bytes]:
    """The lines of a multiplexed stream after an answer's head, as one list."""
    _, _, frames = bytes(data).partition(b"\r\n\r\n")
    found = []
    while frames:
        (size,) = struct.unpack(">4xI", frames[:8])
        found.append(frames[8 : 8 + size])
        frames = frames[8 + size :]
    return b"".join(found).splitlines()


def test_following_a_hundred_logs_at_once(own_lodged: Lodged) -> None:
    client = _Http(own_lodged.socket)
    program = f"sleep 1; i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i of the log; done"
    wish = {"Image": "busybox", "Cmd": ["sh", "-c", program], "HostConfig": {"NetworkMode": "none"}}
    ids = [_call(client, "POST", "/containers/create", wish)["Id"] for _ in range(LOGS)]
    with ExitStack() as stack:
        streams = []
        for one in ids:
            _call(client, "POST", f"/containers/{one}/start")
            path = f"/containers/{one}/logs?stdout=1&follow=1"
            streams.append(stack.enter_context(_stream(own_lodged.socket, path)))
        got = _drain(streams, lambda _: False, 40)
    expected = [f"line {number} of the log".encode() for number in range(1, LINES + 1)]
    assert [_lines(got[stream]) == expected for stream in streams] == [True] * LOGS
    for one in ids:
        _call(client, "DELETE", f"/containers/{one}?force=1")
    client.close()
