"""lodge-runtime as an engine or a person calls it, in its own process, from create to delete."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lodge.kernel import sockets
from lodge.kernel.cgroups import detect
from tests.privileged.runtime_process.conftest import MOUNTS

COMMAND = [sys.executable, "-c", "import sys; from lodge.runtime.command import main; sys.exit(main())"]


class Runtime:
    """The command with a root of its own, and a bundle."""

    def __init__(self, directory: Path, busybox: Path) -> None:
        self.root = directory / "records"
        self.bundle = directory / "bundle"
        self.bundle.mkdir()
        (self.bundle / "rootfs").mkdir()
        subprocess.run(["cp", "-a", f"{busybox}/.", str(self.bundle / "rootfs")], check=True)
        self.group = f"/lodge-command-{os.getpid()}"
        self.config: dict[str, Any] = {
            "ociVersion": "1.0.2",
            "root": {"path": "rootfs"},
            "process": {"cwd": "/", "args": ["sleep", "60"], "env": ["PATH=/bin"]},
            "mounts": MOUNTS,
            "linux": {
                "cgroupsPath": f"{self.group}/box",
                "namespaces": [
                    {"type": kind} for kind in ("mount", "pid", "ipc", "uts", "network", "cgroup")
                ],
            },
        }

    def line(self, *words: str) -> list[str]:
        (self.bundle / "config.json").write_bytes(msgspec.json.encode(self.config))
        return [*COMMAND, "--root", str(self.root), *words]

    def __call__(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            self.line(*words),
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=30,
        )
        assert result.returncode == code, result.stderr
        return result

    def create(self, *words: str) -> None:
        """Streams of a container outlive the command: files, not pipes that somebody waits for."""
        with open(self.bundle / "out", "w") as out:
            line = self.line("create", "--bundle", str(self.bundle), *words, "box")
            subprocess.run(line, check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=30)

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self("state", "box").stdout)
        return state

    def wait(self, status: str) -> None:
        deadline = time.monotonic() + 10
        while self.state()["status"] != status:
            assert time.monotonic() < deadline


@pytest.fixture
def runtime(tmp_path: Path, busybox: Path) -> Iterator[Runtime]:
    made = Runtime(tmp_path, busybox)
    yield made
    subprocess.run(made.line("delete", "--force", "box"), check=False, capture_output=True)
    assert os.listdir(made.root) == [] if made.root.exists() else True
    group = detect().group(made.group)
    assert not group.pids()
    group.remove()


def test_from_create_to_delete(runtime: Runtime) -> None:
    runtime.create("--pid-file", str(runtime.bundle / "pid"))
    state = runtime.state()
    assert state["status"] == "created"
    assert state["pid"] == int((runtime.bundle / "pid").read_text())
    assert state["bundle"] == str(runtime.bundle)
    runtime("start", "box")
    assert runtime.state()["status"] == "running"
    assert json.loads(runtime("ps", "--format", "json", "box").stdout) == [state["pid"]]
    assert "sleep 60" in runtime("ps", "box").stdout
    assert "running" in runtime("list").stdout
    assert runtime("list", "-q").stdout == "box\n"
    runtime("kill", "box", "KILL")
    runtime.wait("stopped")
    assert runtime.state()["pid"] == 0
    runtime("delete", "box")
    assert "does not exist" in runtime("state", "box", code=1).stderr


def test_wrong_times(runtime: Runtime) -> None:
    runtime.create()
    again = runtime("create", "--bundle", str(runtime.bundle), "box", code=1)
    assert "container with given ID already exists" in again.stderr
    assert "cannot resume a container that is created" in runtime("resume", "box", code=1).stderr
    runtime("start", "box")
    assert "already running" in runtime("start", "box", code=1).stderr
    assert "not stopped: running" in runtime("delete", "box", code=1).stderr
    runtime("kill", "box", "9")
    runtime.wait("stopped")
    assert "has stopped" in runtime("start", "box", code=1).stderr
    assert "container not running" in runtime("kill", "box", code=1).stderr
    assert "cannot exec in a container that is stopped" in runtime("exec", "box", "true", code=1).stderr


def test_a_created_container_can_be_deleted(runtime: Runtime) -> None:
    runtime.create()
    pid = runtime.state()["pid"]
    runtime("delete", "box")
    assert not os.path.exists(f"/proc/{pid}") or "Z" in Path(f"/proc/{pid}/stat").read_text()


def test_run_waits_and_cleans_up(runtime: Runtime) -> None:
    runtime.config["process"]["args"] = ["sh", "-c", "echo out; echo err >&2; exit 7"]
    result = runtime("run", "--bundle", str(runtime.bundle), "box", code=7)
    assert (result.stdout, result.stderr) == ("out\n", "err\n")
    assert runtime("list", "-q").stdout.strip() == ""


def test_run_passes_signals_on(runtime: Runtime) -> None:
    runtime.config["process"]["args"] = ["sh", "-c", "trap 'exit 5' TERM; echo; while :; do sleep 0.01; done"]
    line = runtime.line("run", "--bundle", str(runtime.bundle), "box")
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 5


def test_run_with_a_terminal(runtime: Runtime) -> None:
    runtime.config["process"].update(args=["sh", "-c", "tty; read x; echo got $x"], terminal=True)
    master, slave = pty.openpty()
    line = runtime.line("run", "--bundle", str(runtime.bundle), "box")
    with subprocess.Popen(line, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as process:
        os.close(slave)
        text = os.read(master, 999)
        os.write(master, b"hello\n")
        while b"got hello" not in text:
            text += os.read(master, 999)
        assert process.wait(10) == 0
    os.close(master)
    assert b"/dev/pts/0" in text


def test_programs_that_are_none(runtime: Runtime) -> None:
    log = runtime.bundle / "log"
    runtime.config["process"]["args"] = ["nope"]
    runtime("--log", str(log), "--log-format", "json", "run", "--bundle", str(runtime.bundle), "box", code=1)
    assert json.loads(log.read_text())["msg"] == (
        "unable to start container process: error during container init:"
        ' exec: "nope": executable file not found in $PATH'
    )
    runtime.config["process"]["args"] = ["/script"]
    (runtime.bundle / "rootfs/script").write_text("nonsense")
    (runtime.bundle / "rootfs/script").chmod(0o755)
    runtime.create()
    assert "exec format error" in runtime("start", "box", code=1).stderr


def test_a_console_socket(runtime: Runtime, tmp_path: Path) -> None:
    runtime.config["process"].update(args=["sh", "-c", "stty size; read x"], terminal=True)
    runtime.config["process"]["consoleSize"] = {"height": 12, "width": 34}
    path = str(tmp_path / "console.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(path)
        server.listen()
        runtime.create("--console-socket", path)
        connection, _ = server.accept()
        with connection:
            _, [master] = sockets.receive(connection)
    runtime("start", "box")
    assert b"12 34" in os.read(master, 99)
    os.close(master)


def test_a_terminal_needs_an_owner(runtime: Runtime) -> None:
    runtime.config["process"]["terminal"] = True
    assert "cannot allocate tty" in runtime("create", "--bundle", str(runtime.bundle), "box", code=1).stderr


def test_exec(runtime: Runtime, tmp_path: Path) -> None:
    runtime.create()
    assert runtime("exec", "box", "echo", "before start").stdout == "before start\n"
    runtime("start", "box")
    flags = ("-e", "A=b", "-u", "5:6", "--cwd", "/tmp")
    assert runtime("exec", *flags, "box", "sh", "-c", "id -u; pwd; echo $A").stdout == "5\n/tmp\nb\n"
    assert runtime("exec", "box", "sh", "-c", "exit 9", code=9).stdout == ""
    process = tmp_path / "process.json"
    process.write_text(json.dumps({"cwd": "/", "args": ["sh", "-c", "sleep 60; :"], "env": ["PATH=/bin"]}))
    with open(tmp_path / "out", "w") as out:
        line = runtime.line("exec", "-d", "-p", str(process), "--pid-file", str(tmp_path / "pid"), "box")
        subprocess.run(line, check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=30)
    pid = int((tmp_path / "pid").read_text())
    assert Path(f"/proc/{pid}/comm").read_text() == "sh\n"
    failed = runtime("exec", "box", "nope", code=1).stderr
    assert 'exec failed: unable to start container process: exec: "nope"' in failed


def test_pause_update_events(runtime: Runtime) -> None:
    runtime.create()
    runtime("start", "box")
    runtime("pause", "box")
    assert runtime.state()["status"] == "paused"
    assert "paused" in runtime("exec", "box", "true", code=1).stderr
    runtime("resume", "box")
    runtime("update", "--memory", "64m", "--pids-limit", "42", "box")
    resources = {"cpu": {"shares": 512}}
    subprocess.run(runtime.line("update", "-r", "-", "box"), input=json.dumps(resources).encode(), check=True)
    data = json.loads(runtime("events", "--stats", "box").stdout)["data"]
    assert data["memory"]["usage"]["limit"] == 64 << 20
    assert data["pids"] == {"current": 1, "limit": 42}
    assert "memory" in runtime("update", "--memory", "lots", "box", code=1).stderr


def test_hooks_around_the_life(runtime: Runtime, tmp_path: Path) -> None:
    log = tmp_path / "log"
    runtime.config["hooks"] = {
        stage: [{"path": "/bin/sh", "args": ["sh", "-c", f"echo {stage} >> {log}"]}]
        for stage in ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    }
    runtime.create()
    assert log.read_text().split() == ["prestart", "createRuntime", "createContainer"]
    runtime("start", "box")
    runtime("delete", "--force", "box")
    assert log.read_text().split()[3:] == ["poststart", "poststop"]


def test_kept_descriptors(runtime: Runtime) -> None:
    runtime.config["process"]["args"] = ["sh", "-c", "cat <&3; ls /proc/self/fd | wc -l"]
    reader, writer = os.pipe()
    os.write(writer, b"through\n")
    os.close(writer)
    line = runtime.line("run", "--preserve-fds", "1", "--bundle", str(runtime.bundle), "box")
    script = f'exec "$@" 3<&{reader}'
    result = subprocess.run(
        ["bash", "-c", script, "bash", *line], check=True, capture_output=True, text=True, pass_fds=(reader,)
    )
    os.close(reader)
    assert result.stdout.splitlines()[0] == "through"


def test_its_own_file_is_out_of_reach(runtime: Runtime) -> None:
    """CVE-2019-5736, from outside: the file that a waiting init runs from can never be written to."""
    runtime.create()
    program = os.open(f"/proc/{runtime.state()['pid']}/exe", os.O_PATH)
    runtime("delete", "--force", "box")
    # Opening it would say ETXTBSY here, for these tests run from the same file.
    assert os.fstatvfs(program).f_flag & os.ST_RDONLY
    os.close(program)


def test_a_pid_that_somebody_else_has_now(runtime: Runtime) -> None:
    runtime.create()
    runtime("kill", "box", "KILL")
    runtime.wait("stopped")
    with subprocess.Popen(["sleep", "60"]) as innocent:
        record = runtime.root / "box/state.json"
        changed = json.loads(record.read_text()) | {"pid": innocent.pid}
        record.write_text(json.dumps(changed))
        assert runtime.state()["status"] == "stopped"
        runtime("kill", "box", "KILL", code=1)
        runtime("delete", "--force", "box")
        assert innocent.poll() is None
        innocent.kill()


def test_no_pivot(runtime: Runtime) -> None:
    runtime.config["process"]["args"] = ["sh", "-c", "ls /bin/sh; grep -c ' / ' /proc/mounts"]
    assert "/bin/sh" in runtime("run", "--no-pivot", "--bundle", str(runtime.bundle), "box").stdout


def test_events_until_the_end(runtime: Runtime) -> None:
    runtime.config["linux"]["resources"] = {"memory": {"limit": 8 << 20, "swap": 8 << 20}}
    runtime.config["process"]["args"] = ["sh", "-c", "read x < /fifo; x=x; while :; do x=$x$x; done"]
    os.mkfifo(runtime.bundle / "rootfs/fifo")
    runtime.create()
    runtime("start", "box")
    line = runtime.line("events", "--interval", "50ms", "box")
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as events:
        assert events.stdout is not None
        assert json.loads(events.stdout.readline())["type"] == "stats"
        (runtime.bundle / "rootfs/fifo").write_text("go\n")
        kinds = {json.loads(line)["type"] for line in events.stdout}
        assert events.wait(10) == 0
    assert "oom" in kinds
