"""Connections: one request after the other, cut anywhere, slow, rude, vanishing."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from lodge.errors import Unavailable
from lodge.http.exchange import Exchange
from tests.unit.http.conftest import Serve
from tests.unit.http.running import answer, ask

GET = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"


def hello(exchange: Exchange) -> None:
    exchange.respond(200, b"hello " + exchange.head.path.encode(), headers=(("X-A", "a\r\nb"),))


async def echo(exchange: Exchange) -> None:
    exchange.respond(200, await exchange.read(1000))


async def echo_stream(exchange: Exchange) -> None:
    stream = exchange.stream()
    async for piece in exchange.body:
        await stream.write(piece)
    stream.end()


def test_keep_alive_and_head(serve: Serve) -> None:
    with serve(hello).connect() as client:
        for _ in range(3):
            status, headers, body = ask(client, GET)
            assert (status, body, headers["server"], headers["x-a"]) == (200, b"hello /x", "test", "a  b")
        client.sendall(GET.replace(b"GET", b"HEAD"))
        time.sleep(0.1)
        assert client.recv(1000).endswith(b"\r\n\r\n")


def test_every_cut_of_pipelined_requests(serve: Serve) -> None:
    running = serve(echo)
    request = (
        b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
        b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )
    for cut in range(0, len(request), 3):
        with running.connect() as client:
            client.sendall(request[:cut])
            if cut % 2:
                time.sleep(0.002)
            client.sendall(request[cut:])
            data = b""
            while not data.endswith(b"abc"):
                data += client.recv(1000)
            assert data.count(b"HTTP/1.1 200") == 2
            assert b"\r\n\r\nbody" in data


def test_large_body_streams_with_backpressure(serve: Serve) -> None:
    running = serve(echo_stream)
    size = 8 << 20
    with running.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
        sender = threading.Thread(target=lambda: client.sendall(b"x" * size))
        sender.start()
        status, _, body = answer(client)
        sender.join()
    assert status == 200
    assert len(body) == size


def test_body_over_the_limit_still_gets_its_answer(serve: Serve) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(413, b"no")

    with serve(handler).connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100000)
        client.sendall(b"x" * 100000)
        assert answer(client)[0] == 413


def test_expect_continue(serve: Serve) -> None:
    with serve(echo).connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert ask(client, b"ok")[2] == b"ok"


def test_limits(serve: Serve) -> None:
    running = serve(hello, head=1000, head_seconds=0.5, linger_seconds=0.3)
    with running.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nX: " + b"y" * 2000)
        assert b" 431 " in client.recv(1000)
    with running.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert b" 408 " in client.recv(1000)
        client.settimeout(5)
        assert client.recv(1000) == b""


@pytest.mark.parametrize(
    "garbage", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)
def test_garbage_is_refused(serve: Serve, garbage: bytes) -> None:
    with serve(hello).connect() as client:
        client.sendall(garbage)
        assert client.recv(1000)[:11] in (b"HTTP/1.1 40", b"HTTP/1.1 50")


def test_a_tls_greeting_is_answered_at_once(serve: Serve) -> None:
    """Clients that try TLS first go on with plain HTTP when they are told; they would wait half a minute."""
    with serve(hello).connect() as client:
        client.settimeout(2)
        client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100))
        assert client.recv(12) == b"HTTP/1.1 400"


def test_files_are_sent_by_the_kernel(serve: Serve, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(data)

    async def send(exchange: Exchange) -> None:
        with open(tmp_path / "file", "rb", buffering=0) as file:
            await exchange.send_file(206, file, 5, 2_000_000, content_type="x/y", headers=(("X-A", "b"),))

    with serve(send).connect() as client:
        for _ in range(2):
            status, headers, body = ask(client, GET)
            assert (status, headers["content-type"], headers["x-a"]) == (206, "x/y", "b")
            assert body == data[5:2_000_005]
        client.sendall(b"HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"Content-Length: 2000000" in client.recv(1000)


def test_a_client_that_goes_while_a_file_is_sent_ends_it(serve: Serve, tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file:
        file.truncate(200_000_000)
    ended = threading.Event()

    async def send(exchange: Exchange) -> None:
        try:
            with open(tmp_path / "file", "rb", buffering=0) as file:
                await exchange.send_file(200, file, 0, 200_000_000, content_type="x/y")
        finally:
            ended.set()

    with serve(send).connect() as client:
        client.sendall(GET)
        client.recv(1000)
    assert ended.wait(5)


def test_handler_errors_are_500_and_the_connection_lives(serve: Serve) -> None:
    async def broken(exchange: Exchange) -> None:
        if exchange.head.path == "/x":
            raise ValueError("boom")

    with serve(broken).connect() as client:
        assert ask(client, GET)[0] == 500
        assert ask(client, GET.replace(b"/x", b"/silent"))[0] == 500


def test_bound_handlers_end_with_their_client_others_finish(serve: Serve) -> None:
    ended: list[str] = []

    async def handler(exchange: Exchange) -> None:
        exchange.bound = exchange.head.path == "/bound"
        try:
            await asyncio.sleep(0.4)
            ended.append("finished " + exchange.head.path)
        except asyncio.CancelledError:
            ended.append("cancelled " + exchange.head.path)
            raise

    running = serve(handler)
    for path in (b"/bound", b"/free"):
        with running.connect() as client:
            client.sendall(GET.replace(b"/x", path))
            time.sleep(0.1)
    time.sleep(0.6)
    assert sorted(ended) == ["cancelled /bound", "finished /free"]


def test_hijack_with_early_bytes_and_half_close(serve: Serve) -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.read(1000)
        fd, early = exchange.upgrade("application/x-raw", raw_type="application/x-raw").take()

        def speak() -> None:
            with socket.socket(fileno=fd) as sock:
                sock.setblocking(True)
                data = early
                while piece := sock.recv(100):
                    data += piece
                sock.sendall(b"got " + data)

        threading.Thread(target=speak).start()

    running = serve(handler)
    for upgrade in (b"Connection: Upgrade\r\nUpgrade: tcp\r\n", b""):
        with running.connect() as client:
            head = b"POST /x HTTP/1.1\r\nHost: h\r\n" + upgrade + b"Content-Length: 2\r\n\r\n{}"
            client.sendall(head + b"early ")
            start = client.recv(1000)
            assert start.startswith(b"HTTP/1.1 101 UPGRADED" if upgrade else b"HTTP/1.1 200 OK")
            client.sendall(b"late")
            client.shutdown(socket.SHUT_WR)
            rest = start.partition(b"\r\n\r\n")[2]
            while piece := client.recv(1000):
                rest += piece
            assert rest == b"got early late"


def test_inflow_reads_in_a_thread(serve: Serve) -> None:
    async def handler(exchange: Exchange) -> None:
        source = exchange.inflow()

        def count() -> int:
            total = 0
            while data := source.read(100_000):
                total += len(data)
            return total

        exchange.respond(200, b"%d" % await asyncio.to_thread(count))

    with serve(handler).connect() as client:
        body = b"".join(b"%x\r\n%b\r\n" % (70000, b"x" * 70000) for _ in range(50)) + b"0\r\n\r\n"
        head = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert ask(client, head + body)[2] == b"3500000"
        assert (
            ask(client, b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" + head + body)[2] == b"3"
        )
        assert answer(client)[2] == b"3500000"


def test_inflow_of_a_vanished_client(serve: Serve) -> None:
    seen: list[object] = []

    async def handler(exchange: Exchange) -> None:
        try:
            await asyncio.to_thread(exchange.inflow().read)
        except Unavailable as error:
            seen.append(error)
            exchange.respond(503)

    with serve(handler).connect() as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")
    time.sleep(0.3)
    assert len(seen) == 1


def test_pump_a_pipe(serve: Serve) -> None:
    async def handler(exchange: Exchange) -> None:
        reading, writing = os.pipe()

        def fill() -> None:
            with open(writing, "wb") as pipe:
                pipe.writelines(b"z" * 65536 for _ in range(100))

        filler = asyncio.create_task(asyncio.to_thread(fill))
        stream = exchange.stream(content_type="application/x-tar")
        await stream.pump(reading)
        await filler
        stream.end()

    with serve(handler).connect() as client:
        status, headers, body = ask(client, GET)
        assert (status, headers["content-type"], len(body)) == (200, "application/x-tar", 6553600)


def test_old_protocol_gets_no_chunks(serve: Serve) -> None:
    with serve(echo_stream).connect() as client:
        client.sendall(b"POST /x HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc")
        data = b""
        while piece := client.recv(1000):
            data += piece
        assert data.endswith(b"\r\n\r\nabc")


def test_websocket_round_trip(serve: Serve) -> None:
    async def handler(exchange: Exchange) -> None:
        fd, early = exchange.websocket().take()
        assert early == b""

        def speak() -> None:
            with socket.socket(fileno=fd) as sock:
                sock.setblocking(True)
                sock.sendall(b"<" + sock.recv(100) + b">")

        threading.Thread(target=speak).start()

    from tests.unit.http.test_websocket import masked

    with serve(handler).connect() as client:
        client.sendall(
            b"GET /x HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            + masked(2, b"hi")
        )
        data = b""
        while piece := client.recv(1000):
            data += piece
        assert data.startswith(b"HTTP/1.1 101 ")
        assert data.endswith(b"\x82\x04<hi>\x88\x02\x03\xe8")


def test_idle_connections_end_where_that_is_limited(serve: Serve) -> None:
    running = serve(hello, idle_seconds=0.2)
    with running.connect() as client:
        assert ask(client, GET)[0] == 200
        client.settimeout(5)
        assert client.recv(100) == b""
    with running.connect() as client:
        client.settimeout(5)
        assert client.recv(100) == b""
