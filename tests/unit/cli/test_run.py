"""`run` and `create` against an engine that answers from a table: what is asked, in which order, the end."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from lodge.cli.verbs.run import start_exit_code
from lodge.wire.frames import STDERR, STDOUT, encode
from tests.unit.cli.conftest import Lodge
from tests.unit.fake_engine import FakeEngine, Reply, Request, refusal

ID = "c" * 64


@pytest.fixture
def running(engine: FakeEngine) -> FakeEngine:
    """An engine with one image; its program says out and err, and ends with 7."""

    def speak(connection: socket.socket) -> None:
        while not engine.asked(f"/containers/{ID}/start"):
            time.sleep(0.001)
        connection.sendall(encode(STDOUT, b"out\n") + encode(STDERR, b"err\n"))

    engine.on("POST", "/containers/create", Reply({"Id": ID, "Warnings": []}, 201))
    engine.on("POST", f"/containers/{ID}/attach", Reply(status=101, hijack=speak))
    engine.on("POST", f"/containers/{ID}/wait", Reply({"StatusCode": 7}))
    engine.on("POST", f"/containers/{ID}/start", Reply(status=204))
    engine.on("POST", f"/containers/{ID}/resize", Reply())
    engine.on("POST", f"/containers/{ID}/kill", Reply(status=204))
    return engine


def paths(engine: FakeEngine) -> list[str]:
    return [request.path.removeprefix(f"/containers/{ID}/") for request in engine.requests]


def test_run_prints_what_the_program_prints_and_ends_with_its_code(lodge: Lodge, running: FakeEngine) -> None:
    result = lodge("run", "--rm", "busybox", "true")
    assert (result.code, result.out, result.err) == (7, "out\n", "err\n")
    assert paths(running) == ["/containers/create", "attach", "wait", "start"]
    create, attach, wait, _ = running.requests
    assert create.json()["Cmd"] == ["true"]
    assert create.json()["HostConfig"]["AutoRemove"] is True
    assert attach.query == {"stream": "1", "stdout": "1", "stderr": "1"}
    assert wait.query == {"condition": "removed"}


def test_without_rm_it_waits_for_the_next_exit(lodge: Lodge, running: FakeEngine) -> None:
    lodge("run", "--name", "web", "busybox")
    assert running.requests[0].query == {"name": "web"}
    assert running.asked(f"/containers/{ID}/wait")[0].query == {"condition": "next-exit"}


def test_a_detached_container_is_started_and_its_id_printed(lodge: Lodge, running: FakeEngine) -> None:
    result = lodge("run", "-d", "busybox")
    assert (result.code, result.out) == (0, ID + "\n")
    assert paths(running) == ["/containers/create", "start"]


def test_create_only_creates(lodge: Lodge, running: FakeEngine) -> None:
    running.on("POST", "/containers/create", Reply({"Id": ID, "Warnings": ["careful"]}, 201))
    result = lodge("create", "busybox")
    assert (result.code, result.out, result.err) == (0, ID + "\n", "WARNING: careful\n")
    assert paths(running) == ["/containers/create"]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('exec: "nope": executable file not found in $PATH', 127),
        ("exec: /nope: stat /nope: no such file or directory", 127),
        ('exec: "/etc": permission denied', 126),
        ('exec: "/etc": is a directory', 126),
        ("something else", 125),
    ],
)
def test_a_program_that_cannot_start_tells_why(
    lodge: Lodge, running: FakeEngine, message: str, code: int
) -> None:
    running.on("POST", f"/containers/{ID}/start", refusal(400, message))
    for flags in ([], ["-d"]):
        result = lodge("run", *flags, "busybox", "nope")
        assert result.code == code == start_exit_code(message)
        assert result.err == (
            f"lodge: Error response from daemon: {message}\n\nRun 'lodge run --help' for more information\n"
        )
        assert result.out == ""


def test_a_refused_creation_is_125(lodge: Lodge, running: FakeEngine) -> None:
    running.on("POST", "/containers/create", refusal(409, 'Conflict. The container name "/web" is in use'))
    result = lodge("run", "--name", "web", "busybox")
    assert result.code == 125
    assert result.err.startswith(
        'lodge: Error response from daemon: Conflict. The container name "/web" is in use'
    )


def test_a_missing_image_is_pulled_once(lodge: Lodge, running: FakeEngine) -> None:
    def create(_: Request) -> Reply:
        if running.asked("/images/create"):
            return Reply({"Id": ID}, 201)
        return refusal(404, "No such image: app:latest")

    running.on("POST", "/containers/create", create)
    running.on("POST", "/images/create", Reply(raw=b'{"status":"Pulling","id":"x"}\n{"status":"Done"}\n'))
    result = lodge("run", "-d", "app")
    assert (result.code, result.out) == (0, ID + "\n")
    assert result.err == "Unable to find image 'app:latest' locally\nx: Pulling\nDone\n"
    assert running.asked("/images/create")[0].query == {"fromImage": "app", "tag": "latest"}


def test_an_image_that_cannot_be_pulled_can_perhaps_be_made(lodge: Lodge, running: FakeEngine) -> None:
    running.on("POST", "/containers/create", refusal(404, "No such image: debian:bookworm"))
    running.on("POST", "/images/create", refusal(501, "this engine has no registry"))
    result = lodge("run", "debian:bookworm")
    assert result.code == 125
    assert "lodge: Error response from daemon: this engine has no registry\n" in result.err
    assert "without a registry: lodge image bootstrap debian:bookworm\n" in result.err
    assert len(running.asked("/containers/create")) == 1


def test_pull_policies(lodge: Lodge, running: FakeEngine) -> None:
    running.on("POST", "/images/create", Reply(raw=b'{"status":"Pulling"}\n'))
    assert lodge("run", "-d", "--pull", "always", "-q", "app:1").err == ""
    assert paths(running)[:2] == ["/images/create", "/containers/create"]
    running.requests.clear()
    running.on("POST", "/containers/create", refusal(404, "No such image: app:1"))
    assert lodge("run", "-d", "--pull", "never", "app:1").code == 125
    assert not running.asked("/images/create")
    result = lodge("run", "--pull", "foo", "app")
    assert result.code == 125
    assert result.err.startswith("lodge: invalid pull option: 'foo': must be one of \"always\"")


def test_the_id_is_written_to_a_new_file_only(lodge: Lodge, running: FakeEngine, tmp_path: Path) -> None:
    file = tmp_path / "cid"
    assert lodge("run", "-d", "--cidfile", str(file), "busybox").code == 0
    assert file.read_text() == ID
    running.requests.clear()
    result = lodge("run", "-d", "--cidfile", str(file), "busybox")
    assert result.code == 125
    assert "container ID file found" in result.err
    assert running.requests == []
    running.on("POST", "/containers/create", refusal(400, "no"))
    assert lodge("run", "-d", "--cidfile", str(tmp_path / "two"), "busybox").code == 125
    assert not (tmp_path / "two").exists()


def test_input_is_sent_and_its_end_too(
    lodge: Lodge, running: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def echo(connection: socket.socket) -> None:
        data = b""
        while piece := connection.recv(100):
            data += piece
        connection.sendall(encode(STDOUT, data.upper()))

    running.on("POST", f"/containers/{ID}/attach", Reply(status=101, hijack=echo))
    reader, writer = os.pipe()
    os.write(writer, b"typed")
    os.close(writer)
    saved = os.dup(0)
    os.dup2(reader, 0)
    try:
        result = lodge("run", "-i", "busybox", "cat")
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(reader)
    assert result.out == "TYPED"
    assert running.requests[0].json()["OpenStdin"] is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_go_to_the_program(lodge: Lodge, running: FakeEngine, number: int) -> None:
    def until_killed(connection: socket.socket) -> None:
        os.kill(os.getpid(), number)
        deadline = time.monotonic() + 5
        while not running.asked(f"/containers/{ID}/kill") and time.monotonic() < deadline:
            time.sleep(0.005)

    before = signal.getsignal(number)
    running.on("POST", f"/containers/{ID}/attach", Reply(status=101, hijack=until_killed))
    assert lodge("run", "busybox").code == 7
    assert [request.query for request in running.asked(f"/containers/{ID}/kill")] == [
        {"signal": signal.Signals(number).name.removeprefix("SIG")}
    ]
    assert signal.getsignal(number) is before


def test_an_error_of_the_wait_is_125(lodge: Lodge, running: FakeEngine) -> None:
    running.on("POST", f"/containers/{ID}/wait", Reply({"StatusCode": 0, "Error": {"Message": "lost it"}}))
    result = lodge("run", "busybox")
    assert result.code == 125
    assert "lodge: error waiting for container: lost it" in result.err


def test_a_daemon_that_goes_away_is_asked_again(lodge: Lodge, running: FakeEngine) -> None:
    """The wait's connection breaks, and the next one gets an answer: the daemon was started again."""
    calls: list[int] = []

    def wait(_: Request) -> Reply:
        calls.append(1)
        if len(calls) == 1:
            return Reply(raw=b"", headers={"Transfer-Encoding": "chunked"}, hijack=lambda _: None)
        return Reply({"StatusCode": 3})

    running.on("POST", f"/containers/{ID}/wait", wait)
    assert lodge("run", "busybox").code == 3


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["run"], 1, "lodge: 'lodge run' requires at least 1 argument\n\nUsage:  lodge run [OPTIONS] IMAGE"),
        (["run", "--foo", "x"], 125, "unknown flag: --foo\n\nUsage:  lodge run"),
        (
            ["run", "-d", "-a", "stdout", "x"],
            125,
            "conflicting options: cannot specify both --attach and --detach",
        ),
        (["run", "--restart", "always", "--rm", "x"], 125, "cannot specify both --restart and --rm"),
        (["run", "--cpu-count", "1", "x"], 125, "--cpu-count: only Windows has this"),
        (["run", "-it", "x"], 1, "the input device is not a TTY"),
    ],
)
def test_what_cannot_be_asked(
    lodge: Lodge, running: FakeEngine, arguments: list[str], code: int, text: str
) -> None:
    saved = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    try:
        result = lodge(*arguments)
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(null)
    assert result.code == code
    assert text in result.err
    assert running.requests == []


def test_nobody_answers(lodge: Lodge, running: FakeEngine) -> None:
    running.close()
    result = lodge("run", "x")
    assert result.code == 125
    assert result.err.startswith("lodge: Cannot connect to the Lodge daemon at unix://")


def test_the_users_proxies_and_headers_are_used(
    lodge: Lodge, running: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxies = '{"default": {"httpProxy": "http://p:1", "noProxy": "local"}}'
    (tmp_path / "config.json").write_text(f'{{"proxies": {proxies}, "HttpHeaders": {{"X-Mine": "yes"}}}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    lodge("run", "-d", "-e", "no_proxy=mine", "busybox")
    request = running.requests[0]
    assert request.headers["x-mine"] == "yes"
    assert request.json()["Env"] == [
        "no_proxy=mine",
        "HTTP_PROXY=http://p:1",
        "http_proxy=http://p:1",
        "NO_PROXY=local",
    ]
