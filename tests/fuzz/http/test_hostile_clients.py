"""Whatever bytes come in, the API answers or hangs up: no 500, no stuck request, no crash, no growth.

Over the engine that only remembers: what is tested is the door. LODGE_FUZZ_EXAMPLES says how long.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lodge.api.app import App
from lodge.api.table import all_routes
from tests.unit.api.fakes import FakeEngine, container
from tests.unit.http.running import Running

EXAMPLES = int(os.environ.get("LODGE_FUZZ_EXAMPLES", "150"))
FUZZ = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ROUTES = all_routes()
# what the remembering engine refuses by a plain assertion of its own is no finding
EXPECTED = {200, 201, 204, 304, 400, 401, 403, 404, 405, 408, 409, 413, 415, 431, 501, 503, 505}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=20,
)
MEMBERS = [
    "Image", "Cmd", "HostConfig", "NetworkingConfig", "Mounts", "Binds", "Healthcheck", "Env", "Labels",
    "Tty", "Detach", "ConsoleSize", "Name", "DriverOpts", "Memory", "RestartPolicy", "Container",
    "EndpointConfig", "PortBindings", "ExposedPorts", "Ulimits", "LogConfig", "MacAddress", "Sysctls",
    "PidsLimit",
]  # fmt: skip
BODY = st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=8), JSON, max_size=6)
PARAMETERS = [
    "all", "limit", "filters", "size", "name", "platform", "t", "signal", "condition", "since", "until",
    "tail", "stdout", "stderr", "h", "w", "path", "repo", "tag", "fromImage", "fromSrc", "names", "type",
]  # fmt: skip
QUERY = st.dictionaries(st.sampled_from(PARAMETERS), st.text(max_size=20) | JSON.map(json.dumps), max_size=4)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    engine = FakeEngine()
    engine.containers.add(container("one"))
    running = Running(str(Path(tmp_path_factory.mktemp("fuzz")) / "s"), App(engine).handle)
    yield running
    running.stop()


def statuses(door: Running, data: bytes) -> list[int]:
    """Send bytes, say that this was all, and read every status line that comes back."""
    with door.connect() as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = b""
        try:
            while piece := client.recv(65536):
                answer += piece
        except ConnectionError:
            pass
    return [int(line.split()[1]) for line in answer.split(b"\n") if line.startswith(b"HTTP/1.1 ")]


@FUZZ
@given(st.sampled_from(ROUTES), st.text(max_size=20), QUERY, BODY, st.integers(23, 57))
def test_any_request_is_answered(
    door: Running, route: object, name: str, query: dict[str, str], body: dict[str, object], version: int
) -> None:
    pattern = route.pattern  # type: ignore[attr-defined]
    start, brace, rest = pattern.partition("{")
    path = start + quote(name, safe="") + rest.partition("}")[2] if brace else pattern
    parameters = "&".join(f"{key}={quote(value)}" for key, value in query.items())
    data = json.dumps(body).encode()
    method = route.method  # type: ignore[attr-defined]
    head = f"{method} /v1.{version}{path}?{parameters} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n"
    kind = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    found = statuses(door, (head + kind).encode() + data)
    if any(
        stream in pattern for stream in ("/wait", "/stats", "/events", "/logs", "images/create", "bootstrap")
    ):
        found = found or [200]  # ends with its client, who has hung up
    assert found, pattern
    assert set(found) - {101} <= EXPECTED, (pattern, found)


@FUZZ
@given(st.binary(max_size=400))
def test_any_bytes(door: Running, data: bytes) -> None:
    assert set(statuses(door, data)) <= EXPECTED


@FUZZ
@given(st.randoms(use_true_random=False), st.integers(1, 8))
def test_a_good_request_with_broken_bytes(door: Running, chance: random.Random, count: int) -> None:
    good = bytearray(
        b"POST /containers/create?name=x HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n"
        b'Content-Type: application/json\r\n\r\n1b\r\n{"Image":"nope","Cmd":["a"]}\r\n0\r\n\r\n'
    )
    for _ in range(count):
        good[chance.randrange(len(good))] = chance.randrange(256)
    assert set(statuses(door, bytes(good))) <= EXPECTED


@FUZZ
@given(st.integers(0, 10_000), st.booleans())
def test_a_request_cut_anywhere_leaves_nothing(door: Running, cut: int, reset: bool) -> None:
    whole = (
        b"PUT /containers/one/archive?path=/ HTTP/1.1\r\nHost: d\r\nContent-Length: 9000\r\n\r\n"
        + b"x" * 9000
    )
    with door.connect() as client:
        client.sendall(whole[: cut % len(whole)])
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def test_nothing_is_left_running(door: Running) -> None:
    async def busy() -> int:
        for _ in range(100):
            if not [one for one in door.server.connections if one.busy]:
                break
            await asyncio.sleep(0.05)
        return len([one for one in door.server.connections if one.busy])

    assert asyncio.run_coroutine_threadsafe(busy(), door.loop).result(10) == 0


def test_hundreds_of_connections_that_say_nothing(door: Running) -> None:
    clients = [door.connect() for _ in range(400)]
    assert statuses(door, b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n") == [200]
    for client in clients:
        client.close()


def test_deep_and_long_json(door: Running) -> None:
    for body in (
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"Env":[' + b'"a",' * 300_000 + b'"b"]}',
        b"9" * 100_000,
    ):
        head = b"POST /containers/create HTTP/1.1\r\nHost: d\r\nConnection: close\r\n"
        head += b"Content-Type: application/json\r\n"
        found = statuses(door, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert set(found) <= EXPECTED
