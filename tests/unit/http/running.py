"""A server in a thread, and a raw client."""

from __future__ import annotations

import asyncio
import io
import socket
import threading

from lodge.http.server import Handler, Server


class Running:
    """A server on a unix socket, in a loop of its own."""

    def __init__(self, path: str, handler: Handler, **options: object) -> None:
        self.path = path
        self.loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(handler, options))
        self._thread.start()
        assert self._ready.wait(5)

    def _run(self, handler: Handler, options: dict[str, object]) -> None:
        asyncio.set_event_loop(self.loop)

        async def start() -> None:
            self.server = Server(handler, banner=b"Server: test\r\n", **options)  # type: ignore[arg-type]
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(self.path)
            await self.server.listen(sock)

        self.loop.run_until_complete(start())
        self._ready.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self.server.close(0.2))
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(self.path)
        return client

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        assert not self._thread.is_alive()


def ask(client: socket.socket, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send a request, read one whole answer: status, headers, body."""
    client.sendall(request)
    return answer(client)


def answer(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    with client.makefile("rb", buffering=0) as raw:
        return _read_answer(raw)


def _read_answer(stream: io.RawIOBase) -> tuple[int, dict[str, str], bytes]:
    status = int(stream.readline().split()[1])
    headers: dict[str, str] = {}
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.decode().partition(": ")
        headers[name.lower()] = value
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(stream.readline(), 16):
            body += _exactly(stream, size)
            stream.readline()
        stream.readline()
    else:
        body = _exactly(stream, int(headers.get("content-length", 0)))
    return status, headers, body


def _exactly(stream: io.RawIOBase, size: int) -> bytes:
    parts = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
