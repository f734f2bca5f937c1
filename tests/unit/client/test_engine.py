"""Calls of the API: paths, bodies, refusals, and which connections are used again."""

from collections.abc import Iterator

import pytest

from lodge.client.address import parse
from lodge.client.engine import EngineClient, quote, target
from lodge.client.failures import Failed, Refused, RefusedNotFound, Unreachable
from lodge.errors import Conflict, InvalidArgument, NotFound, Unsupported
from tests.unit.fake_engine import FakeEngine, Reply, refusal


@pytest.fixture
def client(engine: FakeEngine) -> Iterator[EngineClient]:
    client = EngineClient(parse(engine.host))
    yield client
    client.close()


def test_names_are_quoted_whole() -> None:
    assert quote("a/b c:ä") == "a%2Fb%20c%3A%C3%A4"


def test_a_query_leaves_out_what_is_not_set() -> None:
    query = {"a": True, "b": False, "c": None, "d": 0, "e": "", "f": ["x", "y&"]}
    assert target("/p", query) == "/p?a=1&d=0&e=&f=x&f=y%26"
    assert target("/p", {"b": False}) == "/p"


def test_a_call_sends_and_takes_json_and_keeps_its_connection(
    client: EngineClient, engine: FakeEngine
) -> None:
    engine.on("POST", "/things", Reply({"Id": "x"}, 201))
    engine.on("GET", "/empty", Reply(status=204))
    assert client.call("POST", "/things", json={"a": [1, None]}, query={"name": "n"}) == {"Id": "x"}
    assert client.call("GET", "/empty") is None
    assert client.call("POST", "/things") == {"Id": "x"}
    assert engine.connections == 1
    first = engine.requests[0]
    assert first.json() == {"a": [1, None]}
    assert first.query == {"name": "n"}
    assert first.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidArgument),
        (404, NotFound),
        (409, Conflict),
        (501, Unsupported),
        (500, Failed),
        (418, Failed),
    ],
)
def test_a_refusal_is_the_kind_that_its_status_means(
    client: EngineClient, engine: FakeEngine, status: int, kind: type[Exception]
) -> None:
    engine.on("GET", "/x", refusal(status, "No such thing: x"))
    with pytest.raises(kind, match="No such thing: x") as caught:
        client.call("GET", "/x")
    assert isinstance(caught.value, Refused)
    assert caught.value.status == status


def test_a_refusal_without_json_keeps_its_text(client: EngineClient, engine: FakeEngine) -> None:
    engine.on("GET", "/x", Reply(status=404, raw=b"plain text\n"))
    with pytest.raises(RefusedNotFound, match=r"^plain text$"):
        client.call("GET", "/x")
    engine.on("HEAD", "/x", Reply(status=404))
    with pytest.raises(RefusedNotFound, match="HTTP status 404"):
        client.call("HEAD", "/x")


def test_nobody_at_the_address(engine: FakeEngine) -> None:
    client = EngineClient(parse("unix:///nonexistent/engine.sock"))
    with pytest.raises(Unreachable, match="Cannot connect to the Lodge daemon at unix:///nonexistent"):
        client.call("GET", "/_ping")


def test_a_connection_that_the_daemon_closed_is_not_used_again(
    client: EngineClient, engine: FakeEngine
) -> None:
    engine.on("POST", "/x", Reply({"ok": 1}))
    assert client.call("POST", "/x") == {"ok": 1}
    engine._open[0].shutdown(2)
    assert client.call("POST", "/x") == {"ok": 1}
    assert engine.connections == 2


def test_a_body_in_pieces_is_sent_as_chunks(client: EngineClient, engine: FakeEngine) -> None:
    engine.on("PUT", "/archive", Reply(status=200))
    client.release(client.open("PUT", "/archive", body=iter([b"one", b"two"])))
    assert engine.requests[0].body == b"onetwo"
    assert engine.requests[0].headers["content-type"] == "application/x-tar"


def test_a_stream_of_json_is_read_line_by_line(client: EngineClient, engine: FakeEngine) -> None:
    engine.on("GET", "/events", Reply(raw=b'{"a":1}\r\n{"b":2}\n'))
    assert list(client.stream_json("GET", "/events")) == [{"a": 1}, {"b": 2}]


def test_a_hijacked_connection_is_the_callers(client: EngineClient, engine: FakeEngine) -> None:
    engine.on("POST", "/attach", Reply(status=101, hijack=lambda connection: connection.sendall(b"hello")))
    response = client.hijack("/attach", query={"stream": True})
    assert response.status == 101
    assert engine.requests[0].headers["upgrade"] == "tcp"
    received = response.pending
    while data := response.stream.recv(100):
        received += data
    assert received == b"hello"
    response.stream.close()
    engine.on("POST", "/attach", refusal(404, "No such container: x"))
    with pytest.raises(RefusedNotFound):
        client.hijack("/attach")
