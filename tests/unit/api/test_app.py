"""The door: versions, paths, errors, headers."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge import errors
from lodge.api.app import from_a_web_page
from lodge.api.failures import STATUSES, status_of
from lodge.api.router import Router, split_version
from lodge.api.table import all_routes
from lodge.wire import versions
from tests.unit.api.conftest import Door


def test_ping_with_its_headers(door: Door) -> None:
    status, headers, body = door.request("GET", "/_ping")
    assert (status, body) == (200, b"OK")
    assert headers["server"] == "test"
    assert headers["swarm"] == "inactive"
    assert headers["cache-control"] == "no-cache, no-store, must-revalidate"
    door.socket.sendall(b"HEAD /v1.30/_ping HTTP/1.1\r\nHost: d\r\n\r\n")
    answer = door.socket.recv(2000)
    assert b"Content-Length: 0" in answer
    assert b"Content-Type: text/plain" in answer


@pytest.mark.parametrize("prefix", ["", "/v1.24", "/v1.43", "/v1.56"])
def test_every_served_version(door: Door, prefix: str) -> None:
    found = door.get(f"{prefix}/version")
    assert found["ApiVersion"] == "1.56"
    assert found["MinAPIVersion"] == "1.24"
    assert found["Platform"] == {"Name": "Lodge"}


def test_versions_out_of_range(door: Door) -> None:
    status, headers, body = door.request("GET", "/v1.10/version")
    assert status == 400
    assert headers["content-type"].startswith("text/plain")
    assert body.startswith(b"client version 1.10 is too old. Minimum supported API version is 1.24")
    message = "client version 1.99 is too new. Maximum supported API version is 1.56"
    assert door.error("GET", "/v1.99/version") == (400, message)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nope"), ("PUT", "/version"), ("POST", "/containers/x")]
)
def test_unknown_pages(door: Door, method: str, path: str) -> None:
    assert door.error(method, path) == (404, "page not found")


def test_options(door: Door) -> None:
    assert door.request("OPTIONS", "/containers/json")[0] == 200


@pytest.mark.parametrize("path", ["/swarm", "/nodes", "/v1.41/services", "/tasks", "/secrets/x", "/configs"])
def test_outside_a_swarm(door: Door, path: str) -> None:
    status, message = door.error("GET", path)
    assert status == 503
    assert message == (
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this '
        "node to swarm and try again."
    )


def test_absent_things(door: Door) -> None:
    assert door.get("/plugins") == []
    assert door.error("GET", "/plugins/x/json") == (404, 'plugin "x" not found')
    assert door.error("GET", "/containers/x/checkpoints")[0] == 501
    assert door.error("POST", "/session") == (400, "no upgrade proto in request")
    assert door.error("POST", "/swarm/leave") == (503, "This node is not part of a swarm")
    assert door.post("/build/prune") == {"CachesDeleted": None, "SpaceReclaimed": 0}


def test_every_kind_has_a_status() -> None:
    kinds = [errors.LodgeError]
    for kind in kinds:
        # What clients and the library make of these never reaches this door.
        kinds += [sub for sub in kind.__subclasses__() if sub.__module__ == "lodge.errors"]
    for kind in kinds[1:]:
        assert any(base in STATUSES for base in kind.__mro__), kind
    assert status_of(errors.AlreadyExists("x")) == 409
    assert status_of(ValueError()) == 500


def test_web_pages_are_refused_over_plain_tcp() -> None:
    assert not from_a_web_page({"host": "localhost:2375"})
    assert not from_a_web_page({"host": "127.0.0.1:2375"})
    assert not from_a_web_page({})
    assert from_a_web_page({"host": "evil.example:2375"})
    assert from_a_web_page({"host": "localhost:2375", "origin": "http://evil.example"})
    assert from_a_web_page({"host": "127.0.0.1:2375", "sec-fetch-site": "cross-site"})


def test_names_with_slashes() -> None:
    router = Router(all_routes())

    def found(method: str, path: str) -> tuple[str, str] | None:
        match = router.find(method, path)
        return (match[0].pattern, match[1]) if match else None

    assert found("GET", "/images/a/b/json/json") == ("/images/{name}/json", "a/b/json")
    assert found("GET", "/containers//x/json") == ("/containers/{name}/json", "/x")
    assert found("GET", "/containers/x/attach/ws") == ("/containers/{name}/attach/ws", "x")
    assert found("DELETE", "/images/host:5000/a:b") == ("/images/{name}", "host:5000/a:b")
    assert found("GET", "/images/json") == ("/images/json", "")
    assert found("GET", "/containers//json") is None
    assert found("POST", "/networks/x/connect") == ("/networks/{name}/connect", "x")
    assert found("GET", "") is None


@given(st.text(), st.sampled_from(["GET", "POST", "DELETE", "X"]))
def test_router_takes_anything(path: str, method: str) -> None:
    Router(all_routes()).find(method, path)
    assert "/" not in split_version(path)[0]


def test_no_route_twice() -> None:
    seen = [(route.method, route.pattern) for route in all_routes()]
    assert len(seen) == len(set(seen))


def test_version_of_the_project(project: Path) -> None:
    with (project / "pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["version"] == versions.ENGINE
