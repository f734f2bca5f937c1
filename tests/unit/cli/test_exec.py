"""`exec`, `attach`, `start -a`: attached sessions of containers that exist."""

import pytest

from lodge.wire.frames import STDOUT, encode
from tests.unit.cli.conftest import Lodge
from tests.unit.fake_engine import FakeEngine, Reply, refusal

ID = "e" * 64
SAYS = Reply(status=101, hijack=lambda connection: connection.sendall(encode(STDOUT, b"said\n")))


@pytest.fixture
def container(engine: FakeEngine) -> FakeEngine:
    engine.on("POST", "/containers/web/exec", Reply({"Id": ID}, 201))
    engine.on("POST", f"/exec/{ID}/start", SAYS)
    engine.on("GET", f"/exec/{ID}/json", Reply({"ExitCode": 5, "Running": False}))
    state = {"Running": True, "Paused": False, "Restarting": False}
    engine.on(
        "GET",
        "/containers/web/json",
        Reply({"Id": ID, "Config": {"Tty": False, "OpenStdin": False}, "State": state, "HostConfig": {}}),
    )
    engine.on("POST", f"/containers/{ID}/attach", SAYS)
    engine.on("POST", f"/containers/{ID}/wait", Reply({"StatusCode": 4}))
    engine.on("POST", f"/containers/{ID}/start", Reply(status=204))
    return engine


def test_exec_ends_with_the_programs_code(lodge: Lodge, container: FakeEngine) -> None:
    result = lodge("exec", "-u", "1:2", "-w", "/x", "-e", "A=b", "--privileged", "web", "sh", "-c", "x")
    assert (result.code, result.out) == (5, "said\n")
    assert container.requests[0].json() == {
        "Cmd": ["sh", "-c", "x"],
        "Tty": False,
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "User": "1:2",
        "WorkingDir": "/x",
        "Privileged": True,
        "Env": ["A=b"],
    }
    assert container.requests[1].json() == {"Detach": False, "Tty": False}


def test_a_detached_exec_is_only_started(lodge: Lodge, container: FakeEngine) -> None:
    container.on("POST", f"/exec/{ID}/start", Reply(status=200))
    result = lodge("exec", "-d", "web", "sleep", "1")
    assert (result.code, result.out) == (0, "")
    assert container.requests[0].json()["AttachStdout"] is False
    assert container.requests[1].json() == {"Detach": True, "Tty": False}


@pytest.mark.parametrize(
    ("status", "message"), [(404, "No such container: web"), (409, "container e is not running")]
)
def test_a_refused_exec_is_1(lodge: Lodge, container: FakeEngine, status: int, message: str) -> None:
    container.on("POST", "/containers/web/exec", refusal(status, message))
    result = lodge("exec", "web", "ls")
    assert (result.code, result.err) == (1, f"Error response from daemon: {message}\n")


def test_exec_needs_a_command(lodge: Lodge, container: FakeEngine) -> None:
    result = lodge("exec", "web")
    assert result.code == 1
    assert result.err.startswith("lodge: 'lodge exec' requires at least 2 arguments")
    assert lodge("exec", "web", "").err == "exec command cannot be empty\n"


def test_attach_shows_output_and_ends_with_the_code(lodge: Lodge, container: FakeEngine) -> None:
    result = lodge("attach", "web")
    assert (result.code, result.out) == (4, "said\n")
    assert container.asked(f"/containers/{ID}/attach")[0].query == {
        "stream": "1",
        "stdout": "1",
        "stderr": "1",
    }


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ({"Running": False}, "You cannot attach to a stopped container, start it first"),
        ({"Running": True, "Paused": True}, "You cannot attach to a paused container, unpause it first"),
    ],
)
def test_attach_needs_a_running_container(
    lodge: Lodge, container: FakeEngine, state: dict[str, bool], problem: str
) -> None:
    container.on("GET", "/containers/web/json", Reply({"Id": ID, "Config": {}, "State": state}))
    result = lodge("attach", "web")
    assert (result.code, result.err) == (1, problem + "\n")


def test_start_attached(lodge: Lodge, container: FakeEngine) -> None:
    result = lodge("start", "-a", "web")
    assert (result.code, result.out) == (4, "said\n")
    order = [request.path.rpartition("/")[2] for request in container.requests]
    assert order == ["json", "attach", "wait", "start"]
    assert (
        lodge("start", "-a", "web", "db").err == "you cannot start and attach multiple containers at once\n"
    )


def test_start_names_what_failed(lodge: Lodge, container: FakeEngine) -> None:
    container.on("POST", "/containers/web/start", Reply(status=304))
    container.on("POST", "/containers/nope/start", refusal(404, "No such container: nope"))
    result = lodge("start", "web", "nope")
    assert (result.code, result.out) == (1, "web\n")
    assert result.err == (
        "Error response from daemon: No such container: nope\nError: failed to start containers: nope\n"
    )
