"""Hooks get the state, have their time, and their failures are told."""

import json
from pathlib import Path

import pytest

from lodge.errors import InvalidArgument, StartFailed
from lodge.runtime.process.hooks import HookRunner, check_hooks, run_hook
from lodge.spec.runtime import Hook, Hooks, State


def shell(script: str, **more: object) -> Hook:
    return Hook(path="/bin/sh", args=["sh", "-c", script], **more)  # type: ignore[arg-type]


def state() -> State:
    return State("1.2.1", "box", "creating", 0, "/bundle", annotations={"a": "b"})


def test_the_state_is_on_standard_input(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    runner = HookRunner(Hooks(prestart=[shell(f"cat > {seen}")]), state())
    runner.run("prestart", "created", 42)
    assert json.loads(seen.read_text()) == {
        "ociVersion": "1.2.1",
        "id": "box",
        "status": "created",
        "pid": 42,
        "bundle": "/bundle",
        "annotations": {"a": "b"},
    }


def test_they_run_in_order_until_one_fails(tmp_path: Path) -> None:
    log = tmp_path / "log"
    hooks = [shell(f"echo {n} >> {log}; exit {code}") for n, code in ((1, 0), (2, 3), (3, 0))]
    runner = HookRunner(Hooks(prestart=hooks, poststop=hooks), state())
    with pytest.raises(StartFailed, match=r"error running prestart hook #1: exit status 3"):
        runner.run("prestart", "creating", 1)
    assert log.read_text() == "1\n2\n"
    assert runner.run_all("poststop", "stopped", 0) == ["error running poststop hook #1: exit status 3"]
    assert log.read_text() == "1\n2\n1\n2\n3\n"


def test_what_a_failing_hook_said() -> None:
    assert run_hook(shell("echo why; echo because >&2; exit 1"), b"") == (
        "exit status 1, output: why\nbecause"
    )


def test_a_missing_hook() -> None:
    assert (
        run_hook(Hook(path="/nonexistent/hook"), b"") == "exec /nonexistent/hook: no such file or directory"
    )


def test_a_hook_out_of_time() -> None:
    assert run_hook(shell("sleep 60", timeout=1), b"") == "hook ran past the specified timeout of 1s"


def test_a_hook_that_is_killed() -> None:
    assert run_hook(shell("kill -9 $$"), b"") == "killed by SIGKILL"


def test_the_environment_is_its_own_or_the_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "1")
    check = 'test -z "$SECRET_OF_THE_HOST" && test "$A" = {}'
    assert run_hook(shell(check.format("1"), env=["A=1"]), b"", ["A=2"]) == ""
    assert run_hook(shell(check.format("2")), b"", ["A=2"]) == ""


def test_what_the_specification_forbids() -> None:
    check_hooks(None)
    check_hooks(Hooks(poststop=[Hook(path="/x", timeout=1)]))
    with pytest.raises(InvalidArgument, match="must be absolute"):
        check_hooks(Hooks(poststart=[Hook(path="x")]))
    with pytest.raises(InvalidArgument, match="timeout must be greater than 0"):
        check_hooks(Hooks(create_runtime=[Hook(path="/x", timeout=0)]))
