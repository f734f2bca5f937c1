"""The context of a verb: connecting, and starting a daemon where nobody answers."""

import socket
from pathlib import Path

import pytest

from lodge.cli.command import Context
from lodge.client import startup
from lodge.client.address import Address
from lodge.client.failures import Unreachable
from tests.unit.fake_engine import FakeEngine, Reply, fake_engine


def default_address(path: Path) -> Address:
    return Address(f"unix://{path}", "unix", path=str(path), default=True)


@pytest.mark.parametrize("left_over", [False, True])
def test_a_missing_daemon_is_started_also_behind_a_socket_that_was_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_over: bool
) -> None:
    path = tmp_path / "engine.sock"
    if left_over:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
    started: list[FakeEngine] = []
    running = fake_engine(tmp_path)

    def start(_: Address) -> None:
        path.unlink(missing_ok=True)
        engine = running.__enter__()
        engine.on("GET", "/_ping", Reply({"ok": True}))
        started.append(engine)

    monkeypatch.setattr(startup, "may_start", lambda _: True)
    monkeypatch.setattr(startup, "start_daemon", start)
    ctx = Context(default_address(path), environ={})
    assert ctx.engine.call("GET", "/_ping") == {"ok": True}
    assert len(started) == 1
    ctx.close()
    running.__exit__(None, None, None)


def test_it_is_not_started_where_that_is_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "start_daemon", lambda _: pytest.fail("started"))
    monkeypatch.setattr(startup, "may_start", lambda _: False)
    ctx = Context(default_address(tmp_path / "none.sock"), environ={})
    with pytest.raises(Unreachable, match="Cannot connect to the Lodge daemon"):
        _ = ctx.engine
    chosen = Address("unix:///x", "unix", path=str(tmp_path / "none.sock"))
    with pytest.raises(Unreachable):
        Context(chosen, environ={}).engine.call("GET", "/_ping")


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"'])
def test_a_broken_config_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    ctx = Context(default_address(tmp_path / "s"), environ={"DOCKER_CONFIG": str(tmp_path)})
    assert ctx.config() == {}
