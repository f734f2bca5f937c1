"""A real Docker Engine and a real Podman run their containers with lodge-runtime.

The engines are those of Debian's packages, prepared by bench/peers.sh; without them these tests are skipped.
"""

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PEERS = Path(os.environ.get("PEERS", "/tmp/peers"))
RUNTIME = Path(sys.executable).parent / "lodge-runtime"
NAME = f"runtime-test-{os.getpid()}"

pytestmark = pytest.mark.skipif(
    not (PEERS / "bin/docker").exists() or not RUNTIME.exists(),
    reason="bench/peers.sh build has not been run",
)


class Engine:
    """One engine's command, with the runtime under test and no network."""

    def __init__(self, name: str, image: str) -> None:
        self.name = name
        self.image = image
        self.command = [str(PEERS / "bin" / name)]
        if name == "podman":
            self.command += ["--runtime", str(RUNTIME)]
        socket = PEERS / NAME / "docker.sock"
        self.environment = os.environ | {"DOCKER_HOST": f"unix://{socket}", "PEERS_NAME": NAME}

    def __call__(self, *words: str, code: int = 0) -> str:
        line = [*self.command, *words]
        result = subprocess.run(
            line, check=False, capture_output=True, text=True, env=self.environment, timeout=60
        )
        assert result.returncode == code, (words, result.stdout, result.stderr)
        return result.stdout if code == 0 else result.stdout + result.stderr

    def flags(self) -> list[str]:
        chosen = ["--runtime", "lodge"] if self.name == "docker" else []
        return [*chosen, "--network", "none"]

    def run(self, *words: str, flags: tuple[str, ...] = (), code: int = 0) -> str:
        return self("run", "--rm", *self.flags(), *flags, self.image, *words, code=code)

    def on_terminal(self, *words: str, until: bytes) -> bytes:
        """Run a command on a terminal of ours; what it showed."""
        master, slave = pty.openpty()
        with subprocess.Popen(
            [*self.command, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=self.environment,
            start_new_session=True,
        ) as process:
            os.close(slave)
            text = b""
            deadline = time.monotonic() + 30
            while until not in text and time.monotonic() < deadline:
                try:
                    text += os.read(master, 4096)
                except OSError:
                    break
            assert process.wait(30) == 0, text
        os.close(master)
        return text


@pytest.fixture(scope="module")
def dockerd(project: Path) -> Iterator[None]:
    environment = os.environ | {"PEERS": str(PEERS), "PEERS_NAME": NAME}
    script = str(project / "bench/peers.sh")
    subprocess.run(
        [script, "start", "--add-runtime", f"lodge={RUNTIME}"],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
        timeout=120,
    )
    yield
    subprocess.run([script, "stop"], check=True, env=environment, timeout=120)
    subprocess.run(["rm", "-rf", str(PEERS / NAME)], check=True)


@pytest.fixture(params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Engine:
    name: str = request.param
    # Podman has no daemon, but lives in the same namespace and gets its image there too
    request.getfixturevalue("dockerd")
    return Engine(name, "busybox" if name == "docker" else "localhost/busybox:latest")


@pytest.fixture
def container(engine: Engine) -> Iterator[str]:
    name = f"lodge-{os.getpid()}-{time.monotonic_ns()}"
    engine("run", "-d", "--name", name, *engine.flags(), engine.image, "sleep", "1000")
    yield name
    patience = ("-t", "0") if engine.name == "podman" else ()
    engine("rm", "-f", *patience, name)


def test_output_and_exit_codes(engine: Engine) -> None:
    assert engine.run("echo", "hello") == "hello\n"
    engine.run("sh", "-c", "exit 9", code=9)
    assert "nope" in engine.run("nope", code=127)
    engine.run("/etc", code=126)


def test_flags_of_run(engine: Engine, tmp_path: Path) -> None:
    flags = ("-u", "1000:5", "-w", "/etc", "--hostname", "hh", "-e", "A=b", "--ulimit", "nofile=99:99")
    out = engine.run("sh", "-c", "id -u; id -g; pwd; hostname; echo $A; ulimit -n", flags=flags)
    assert out.split() == ["1000", "5", "/etc", "hh", "b", "99"]
    (tmp_path / "file").write_text("content")
    flags = ("--read-only", "--tmpfs", "/scratch:size=1m", "-v", f"{tmp_path}:/data:ro", "--shm-size", "8m")
    script = "touch /scratch/x && cat /data/file; touch /data/y 2>&1; touch /z 2>&1; df /dev/shm | tail -1"
    out = engine.run("sh", "-c", script, flags=flags)
    assert out.startswith("content")
    assert out.count("Read-only file system") == 2
    assert "8192" in out


def test_rights(engine: Engine) -> None:
    status = ("cat", "/proc/self/status")
    tight = engine.run(*status, flags=("--cap-drop", "ALL", "--security-opt", "no-new-privileges"))
    assert "CapEff:\t0000000000000000" in tight
    assert "NoNewPrivs:\t1" in tight
    assert "Seccomp:\t2" in tight
    open_ = engine.run(*status, flags=("--privileged",))
    assert "Seccomp:\t0" in open_
    assert int(open_.partition("CapEff:\t")[2].split()[0], 16) >> 21 & 1
    assert (
        engine.run("cat", "/proc/sys/net/ipv4/ip_forward", flags=("--sysctl", "net.ipv4.ip_forward=1"))
        == "1\n"
    )
    assert engine.run("stat", "-c", "%t:%T", "/dev/fuse", flags=("--device", "/dev/fuse")) == "a:e5\n"


def test_process_1_of_the_engine(engine: Engine) -> None:
    assert engine.run("sh", "-c", "echo $$", flags=("--init",)) == "2\n"


def test_exec(engine: Engine, container: str) -> None:
    flags = ("-u", "7", "-w", "/tmp", "-e", "A=b")
    out = engine("exec", *flags, container, "sh", "-c", "id -u; pwd; echo $A")
    assert out.split() == ["7", "/tmp", "b"]
    engine("exec", container, "sh", "-c", "exit 4", code=4)
    assert "nope" in engine("exec", container, "nope", code=127)
    assert "sleep 1000" in engine("top", container)


def test_pause_update_stop_start(engine: Engine, container: str) -> None:
    engine("pause", container)
    assert engine("inspect", "-f", "{{.State.Status}}", container) == "paused\n"
    engine("unpause", container)
    engine("update", "--memory", "64m", "--memory-swap", "64m", container)
    files = "/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max"
    limit = engine("exec", container, "sh", "-c", f"cat {files} 2>/dev/null; true")
    assert limit.split() == [str(64 << 20)]
    assert container in engine("ps")
    engine("stop", "-t", "0", container)
    state = json.loads(engine("inspect", container))[0]["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 137)
    engine("start", container)
    assert engine("exec", container, "echo", "again") == "again\n"
    engine("kill", container)


def test_terminals(engine: Engine, container: str) -> None:
    script = "tty; stty size; echo DONE"
    run = ("run", "--rm", "-it", *engine.flags(), engine.image)
    shown = engine.on_terminal(*run, "sh", "-c", script, until=b"DONE")
    assert b"/dev/pts/0" in shown
    shown = engine.on_terminal("exec", "-it", container, "sh", "-c", script, until=b"DONE")
    assert b"/dev/pts/0" in shown


def test_the_hosts_namespaces(engine: Engine) -> None:
    flags = ("--pid", "host", "--ipc", "host", "--uts", "host")
    assert engine.run("readlink", "/proc/self/ns/pid", flags=flags).strip() == os.readlink(
        "/proc/self/ns/pid"
    )


def test_two_containers_share_a_network(engine: Engine, container: str) -> None:
    mine = engine("exec", container, "readlink", "/proc/self/ns/net")
    flags = [flag for flag in engine.flags() if flag not in ("--network", "none")]
    flags += ["--network", f"container:{container}"]
    shared = engine("run", "--rm", *flags, engine.image, "readlink", "/proc/self/ns/net")
    assert shared == mine


def test_a_user_namespace(engine: Engine) -> None:
    if engine.name == "docker":
        pytest.skip("Docker remaps a whole engine, not a container")
    out = engine.run("sh", "-c", "id -u; touch /x; stat -c %u /x /etc", flags=("--uidmap", "0:100000:65536"))
    assert out.split() == ["0", "0", "0"]
