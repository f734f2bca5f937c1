"""Pull, push, login and remote inspection through the door."""

from __future__ import annotations

import base64
import json

from tests.unit.api.conftest import Door

AUTH = base64.urlsafe_b64encode(b'{"username":"u","password":"p"}').decode()


def test_pull_without_a_tag_means_all_of_them(door: Door) -> None:
    door.request("POST", "/images/create?fromImage=a/b")
    assert door.engine.images.asked[-1][0] == "a/b"
    door.request("POST", "/images/create?fromImage=a/b:c&platform=all")
    assert door.engine.images.asked[-1] == ("a/b:c", {"platform": "all", "auth": None})


def test_push(door: Door) -> None:
    status, _, body = door.request("POST", "/images/host:5000/a/b/push?tag=v1", X_Registry_Auth=AUTH)
    assert status == 200
    lines = [json.loads(line) for line in body.splitlines()]
    assert lines[0] == {"status": "The push refers to repository [x]"}
    assert lines[1] == {"errorDetail": {"message": "denied: no"}, "error": "denied: no"}
    options = {"platform": None, "auth": {"username": "u", "password": "p"}, "compression": ""}
    assert door.engine.images.asked[-1] == ("host:5000/a/b:v1", options)
    door.request("POST", "/images/a/push?compression=zstd:9")
    assert door.engine.images.asked[-1][0] == "a"
    assert door.engine.images.asked[-1][1]["compression"] == "zstd:9"
    assert door.error("POST", "/images/a/push?tag=-")[0] == 400


def test_login(door: Door) -> None:
    wanted = {"username": "u", "password": "p", "serveraddress": "r.example"}
    status, _, body = door.request(
        "POST", "/auth", json.dumps(wanted).encode(), Content_Type="application/json"
    )
    assert status == 200
    assert json.loads(body) == {"Status": "Login Succeeded", "IdentityToken": "identity"}
    assert door.engine.images.asked[-1] == wanted


def test_distribution(door: Door) -> None:
    found = door.get("/distribution/host:5000/a/b:c/json")
    assert found["Descriptor"]["size"] == 3
    assert found["Platforms"] == [{"architecture": "arm64", "os": "linux", "variant": "v8"}]
    assert door.engine.images.asked[-1] == ("host:5000/a/b:c", None)


def test_search_says_what_it_is(door: Door) -> None:
    status, message = door.error("GET", "/images/search?term=x")
    assert status == 501
    assert "Docker Hub's index" in message
    assert door.error("GET", "/images/search?limit=-1")[0] == 400
