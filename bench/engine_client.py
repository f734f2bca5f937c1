"""A client of Docker's API over a unix socket, the same for every engine that is measured.

It keeps one connection, so that what is measured is the engine. Outside bench there is `lodge.client`.
"""

import http.client
import json
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlencode


class EngineError(Exception):
    """An answer with a status of 400 or above."""


class _Connection(http.client.HTTPConnection):
    """HTTP over the socket at `path`."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=600)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class EngineClient:
    """Calls of one engine. Bodies are JSON unless given as bytes or as an iterable of blocks."""

    def __init__(self, path: str, version: str = "v1.41") -> None:
        self.path = path
        self.version = version
        self.headers: dict[str, str] = {}
        """Sent with every request."""
        self.connection = _Connection(path)

    def call(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """Make a call and return the decoded answer (or its bytes, when it is no JSON)."""
        response = self._request(method, path, body, query)
        data = response.read()
        if response.status >= 400:
            raise EngineError(f"{method} {path}: {response.status} {data.decode(errors='replace').strip()}")
        if data and "json" in (response.headers.get("Content-Type") or "") and b"\n{" not in data.strip():
            return json.loads(data)
        return data

    def drain(self, method: str, path: str, **query: object) -> int:
        """Make a call and return how many bytes its answer has, without keeping them."""
        response = self._request(method, path, None, query)
        if response.status >= 400:
            raise EngineError(
                f"{method} {path}: {response.status} {response.read().decode(errors='replace')}"
            )
        total = 0
        block = bytearray(1 << 20)
        while count := response.readinto(block):
            total += count
        return total

    def _request(
        self, method: str, path: str, body: object, query: dict[str, object]
    ) -> http.client.HTTPResponse:
        target = f"/{self.version}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Host": "localhost", **self.headers}
        payload: bytes | Iterable[bytes] | None = None
        if isinstance(body, dict | list):
            payload = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        elif body is not None:
            payload = body  # type: ignore[assignment]
            headers["Content-Type"] = "application/x-tar"
        elif method == "POST":
            payload = b""
        try:
            self.connection.request(method, target, payload, headers)
            return self.connection.getresponse()
        except (ConnectionError, http.client.HTTPException):
            self.connection.close()
            if payload is not None and not isinstance(payload, bytes):
                raise
            self.connection.request(method, target, payload, headers)
            return self.connection.getresponse()

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self.connection.close()

    def create(
        self, command: list[str], *, image: str = "busybox", name: str | None = None, **host: object
    ) -> str:
        """Create a container without a network and return its id."""
        body = {"Image": image, "Cmd": command, "HostConfig": {"NetworkMode": "none", **host}}
        query = {"name": name} if name else {}
        identifier: str = self.call("POST", "/containers/create", body, **query)["Id"]
        return identifier

    def start(self, container: str) -> None:
        """Start it."""
        self.call("POST", f"/containers/{container}/start")

    def wait(self, container: str) -> int:
        """Wait until it has ended and return its exit code."""
        code: int = self.call("POST", f"/containers/{container}/wait")["StatusCode"]
        return code

    def remove(self, container: str, *, force: bool = False) -> None:
        """Remove it, and with `force` kill it first."""
        self.call("DELETE", f"/containers/{container}", force=int(force), v=1)

    def execute(self, container: str, command: list[str]) -> int:
        """Run a command in a running container, read its output to the end and return its exit code."""
        body = {"Cmd": command, "AttachStdout": True, "AttachStderr": True}
        exec_id = self.call("POST", f"/containers/{container}/exec", body)["Id"]
        for _ in self._hijack(f"/exec/{exec_id}/start", {"Detach": False, "Tty": False}):
            pass
        code: int = self.call("GET", f"/exec/{exec_id}/json")["ExitCode"]
        return code

    def _hijack(self, path: str, body: object) -> Iterator[bytes]:
        """Frames of a stream that takes over a connection of its own."""
        payload = json.dumps(body).encode()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(600)
            stream.connect(self.path)
            stream.sendall(
                f"POST /{self.version}{path} HTTP/1.1\r\nHost: localhost\r\n"
                "Connection: Upgrade\r\nUpgrade: tcp\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n".encode()
                + payload
            )
            reader = stream.makefile("rb")
            status = reader.readline()
            while reader.readline() not in (b"\r\n", b""):
                pass
            if b" 101 " not in status and b" 200 " not in status:
                raise EngineError(f"POST {path}: {status.decode().strip()}")
            while len(head := reader.read(8)) == 8:
                yield reader.read(struct.unpack(">I", head[4:])[0])
