"""The API over an engine that only remembers."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lodge.api.app import App
from tests.unit.api.fakes import FakeEngine
from tests.unit.http.running import Running, ask


class Door:
    """A client of the API under test."""

    def __init__(self, path: str) -> None:
        self.engine = FakeEngine()
        self.app = App(self.engine)
        self.running = Running(path, self.app.handle)
        self.socket: socket.socket = self.running.connect()

    def request(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = {"Host": "d", **({"Content-Length": str(len(data))} if data else {})}
        lines |= {"Content-Type": "application/json"} if data else {}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return ask(self.socket, f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + data)

    def get(self, path: str) -> Any:
        status, _, body = self.request("GET", path)
        assert status == 200, body
        return json.loads(body)

    def post(self, path: str, body: Any = None) -> Any:
        status, _, data = self.request("POST", path, body)
        assert status < 300, data
        return json.loads(data) if data else None

    def error(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        status, _, data = self.request(method, path, body)
        return status, json.loads(data)["message"] if data else ""

    def close(self) -> None:
        self.socket.close()
        asyncio.run_coroutine_threadsafe(self.app.leases.close(), self.running.loop).result(5)
        self.running.stop()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    one = Door(str(tmp_path / "s"))
    yield one
    one.close()
