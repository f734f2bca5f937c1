"""Credentials of registries: where they are kept, and how they are sent."""

import json
import os
import stat
from base64 import b64decode, b64encode, urlsafe_b64decode
from pathlib import Path

import pytest

from lodge.cli.credentials import HUB, encode, lookup, registry_of
from lodge.cli.main import run
from tests.unit.fake_engine import FakeEngine, Reply, refusal


@pytest.mark.parametrize(
    ("repository", "registry"),
    [
        ("busybox", HUB),
        ("me/app", HUB),
        ("docker.io/me/app", HUB),
        ("ghcr.io/me/app", "ghcr.io"),
        ("localhost/app", "localhost"),
        ("localhost:5000/app", "localhost:5000"),
        ("registry:5000/app", "registry:5000"),
    ],
)
def test_registries(repository: str, registry: str) -> None:
    assert registry_of(repository) == registry


def test_auths_of_the_file() -> None:
    secret = b64encode(b"me:pass:word").decode()
    config = {"auths": {"ghcr.io": {"auth": secret}, "token.io": {"identitytoken": "t"}}}
    assert lookup(config, "ghcr.io") == {
        "serveraddress": "ghcr.io",
        "username": "me",
        "password": "pass:word",
    }
    assert lookup(config, "token.io") == {"serveraddress": "token.io", "identitytoken": "t"}
    assert lookup(config, "other.io") is None
    assert json.loads(urlsafe_b64decode(encode({"username": "ü?"}))) == {"username": "ü?"}


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A credential helper that keeps what it is told in a file."""
    script = tmp_path / "docker-credential-box"
    script.write_text(
        f"#!/bin/sh\ncase $1 in get) cat {tmp_path}/kept;; store) cat > {tmp_path}/kept;;"
        f" erase) cat > /dev/null; rm {tmp_path}/kept;; esac\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "kept"


def test_a_helper_is_asked(helper: Path) -> None:
    config = {"credsStore": "box"}
    assert lookup(config, "x.io") is None
    helper.write_text('{"Username": "me", "Secret": "s"}')
    assert lookup(config, "x.io") == {"serveraddress": "x.io", "username": "me", "password": "s"}
    helper.write_text('{"Username": "<token>", "Secret": "s"}')
    assert lookup({"credHelpers": {"x.io": "box"}}, "x.io") == {"serveraddress": "x.io", "identitytoken": "s"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker" / "config.json"


def login(engine: FakeEngine, *words: str) -> int:
    return run(["-H", engine.host, *words])


def test_login_and_logout_keep_and_drop_the_file(
    engine: FakeEngine, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.on("POST", "/auth", Reply({"Status": "Login Succeeded"}))
    assert login(engine, "login", "-u", "me", "-p", "secret", "x.io") == 0
    captured = capsys.readouterr()
    assert captured.out == "Login Succeeded\n"
    assert "insecure" in captured.err
    assert engine.requests[0].json() == {"username": "me", "password": "secret", "serveraddress": "x.io"}
    assert stat.S_IMODE(home.stat().st_mode) == 0o600
    kept = json.loads(home.read_text())["auths"]["x.io"]["auth"]
    assert b64decode(kept) == b"me:secret"
    engine.on("POST", "/images/create", Reply(raw=b'{"status":"ok"}\n'))
    login(engine, "pull", "x.io/app:1")
    sent = engine.asked("/images/create")[0].headers["x-registry-auth"]
    assert json.loads(urlsafe_b64decode(sent))["password"] == "secret"
    assert login(engine, "logout", "x.io") == 0
    assert json.loads(home.read_text())["auths"] == {}
    login(engine, "logout", "x.io")
    assert capsys.readouterr().out.endswith("Not logged in to x.io\n")


def test_a_refused_login_keeps_nothing(engine: FakeEngine, home: Path) -> None:
    engine.on("POST", "/auth", refusal(401, "unauthorized"))
    assert login(engine, "login", "-u", "me", "-p", "wrong", "x.io") == 1
    assert not home.exists()


def test_a_helper_keeps_the_secret(engine: FakeEngine, home: Path, helper: Path) -> None:
    home.parent.mkdir()
    home.write_text('{"credsStore": "box"}')
    engine.on("POST", "/auth", Reply({"IdentityToken": "tok"}))
    assert login(engine, "login", "-u", "me", "-p", "s", "x.io") == 0
    assert json.loads(helper.read_text()) == {"ServerURL": "x.io", "Username": "<token>", "Secret": "tok"}
    assert "auths" not in json.loads(home.read_text())
    assert login(engine, "logout", "x.io") == 0
    assert not helper.exists()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["-p", "x", "--password-stdin", "-u", "me"], "conflicting options"),
        (["--password-stdin"], "requires --username"),
    ],
)
def test_logins_that_cannot_be(
    engine: FakeEngine, home: Path, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert login(engine, "login", *words, "x.io") == 1
    assert problem in capsys.readouterr().err
