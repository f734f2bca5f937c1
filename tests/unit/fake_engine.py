"""An engine that answers from a table: a socket server for tests of the client and of the command.

A route is a method and the beginning of a path; its answer is a `Reply`, or a function of the request that
returns one. What was asked is kept in `requests`.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Request:
    """One request as it came in."""

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.path = urlsplit(target).path
        self.query = {name: values[-1] for name, values in parse_qs(urlsplit(target).query).items()}
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"{self.method} {self.path}"


class Reply:
    """An answer; `hijack` takes the connection over after a 101."""

    def __init__(
        self,
        value: Any = None,
        status: int = 200,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        hijack: Callable[[socket.socket], None] | None = None,
    ) -> None:
        self.body = raw if raw is not None else b"" if value is None else json.dumps(value).encode()
        self.status = status
        self.headers = headers or {}
        self.hijack = hijack


def refusal(status: int, message: str) -> Reply:
    return Reply({"message": message}, status)


Answer = Reply | Callable[[Request], Reply]


class FakeEngine:
    """The server; `host` is what -H takes."""

    def __init__(self, path: Path) -> None:
        self.host = f"unix://{path}"
        self.routes: list[tuple[str, str, Answer]] = []
        self.requests: list[Request] = []
        self.connections = 0
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(64)
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def on(self, method: str, path: str, answer: Answer) -> None:
        """Answer requests whose path begins so; later routes win."""
        self.routes.insert(0, (method, path, answer))

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path.startswith(path)]

    def close(self) -> None:
        if self._server.fileno() < 0:
            return
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            while True:
                try:
                    request = _read_request(reader)
                    if request is None:
                        return
                    self.requests.append(request)
                    reply = self._answer(request)
                    _send(connection, request, reply)
                    if reply.hijack:
                        reply.hijack(connection)
                        return
                except OSError:
                    return

    def _answer(self, request: Request) -> Reply:
        for method, path, answer in self.routes:
            if request.method == method and request.path.startswith(path):
                return answer if isinstance(answer, Reply) else answer(request)
        return refusal(404, f"page not found: {request!r}")


def _read_request(reader: Any) -> Request | None:
    line = reader.readline().decode()
    if not line:
        return None
    method, target, _ = line.split()
    headers = {}
    while head := reader.readline().decode().strip():
        name, _, value = head.partition(":")
        headers[name.lower()] = value.strip()
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
    else:
        body = reader.read(int(headers.get("content-length", 0)))
    return Request(method, target, headers, body)


def _send(connection: socket.socket, request: Request, reply: Reply) -> None:
    head = [f"HTTP/1.1 {reply.status} Answer"]
    headers = dict(reply.headers)
    if reply.hijack:
        headers |= {"Connection": "Upgrade", "Upgrade": "tcp"}
    elif reply.status != 204:
        headers["Content-Length"] = str(len(reply.body))
    head += [f"{name}: {value}" for name, value in headers.items()]
    body = b"" if request.method == "HEAD" else reply.body
    connection.sendall("\r\n".join((*head, "", "")).encode() + body)


@contextmanager
def fake_engine(folder: Path) -> Iterator[FakeEngine]:
    engine = FakeEngine(folder / "engine.sock")
    try:
        yield engine
    finally:
        engine.close()
