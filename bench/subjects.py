"""Who is measured: Lodge, Docker Engine and crun, each started for the run and stopped after it.

Every engine gets a root of its own under a scratch directory; nothing of the machine's own is used. Docker
and crun come from `bench/peers.sh`.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.engine_client import EngineClient
from bench.processes import descendants, everything

PROJECT = Path(__file__).resolve().parent.parent
PEERS = Path(os.environ.get("PEERS", "/tmp/peers"))
SCRIPT = PROJECT / "bench" / "peers.sh"
NAME = "bench"


@dataclass
class Engine:
    """A running engine: its socket, its processes, the command that its users type."""

    name: str
    socket: Path
    pid: int
    command: list[str]
    environment: dict[str, str]
    before: set[int] = field(default_factory=set)

    def client(self) -> EngineClient:
        """A new connection."""
        return EngineClient(str(self.socket))

    def processes(self) -> set[int]:
        """Every process of the engine that appeared since it was started; containers' own are left out."""
        client = self.client()
        running = client.call("GET", "/containers/json")
        programs = {client.call("GET", f"/containers/{one['Id']}/json")["State"]["Pid"] for one in running}
        client.close()
        new = {pid for pid in everything() if pid not in self.before and pid != os.getpid()}
        family = descendants([self.pid]) | {pid for pid in new if self._is_named(pid)}
        return family - descendants(programs)

    def _is_named(self, pid: int) -> bool:
        """Whether a process that outlives the daemon (a shim, a monitor) names this engine's directory."""
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return os.fsencode(self.socket.parent) in command


@dataclass
class Crun:
    """crun with a bundle of busybox's files that runs `true`."""

    program: Path
    bundle: Path
    runner: subprocess.Popen[str]
    count: int = 0

    def run(self) -> float:
        """Milliseconds of one `crun run`, taken by the process that started it."""
        self.count += 1
        assert self.runner.stdin is not None
        assert self.runner.stdout is not None
        self.runner.stdin.write(f"bench-{os.getpid()}-{self.count}\n")
        self.runner.stdin.flush()
        return float(self.runner.stdout.readline())


@dataclass
class Subjects:
    """All that a row may ask for; `rounds` scales how often it repeats."""

    scratch: Path
    rounds: int
    lodge: Engine | None = None
    docker: Engine | None = None
    crun: Crun | None = None

    def engines(self) -> dict[str, Engine]:
        """The engines that there are, Docker first: its turn comes before ours in every round."""
        return {engine.name: engine for engine in (self.docker, self.lodge) if engine is not None}


@contextlib.contextmanager
def subjects(rounds: int, wanted: set[str]) -> Iterator[Subjects]:
    """Start what is wanted (of `lodge`, `docker`, `crun`) and stop it in the end, whatever happens."""
    with contextlib.ExitStack() as stack:
        scratch = Path(tempfile.mkdtemp(prefix="lodge-bench-", dir=os.environ.get("BENCH_DIR", "/tmp")))
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        made = Subjects(scratch, rounds)
        if "docker" in wanted:
            made.docker = stack.enter_context(docker())
        if "lodge" in wanted:
            made.lodge = stack.enter_context(lodge(scratch / "lodge"))
        if "crun" in wanted:
            made.crun = stack.enter_context(crun(scratch))
        yield made


@contextlib.contextmanager
def docker() -> Iterator[Engine]:
    """Docker Engine, which keeps its containers running while it is restarted, as Lodge does."""
    before = set(everything())
    environment = {**os.environ, "PEERS_NAME": NAME}
    subprocess.run(
        [SCRIPT, "start", "--live-restore"], check=True, env=environment, stderr=subprocess.DEVNULL
    )
    home = PEERS / NAME
    socket = home / "docker.sock"
    try:
        yield Engine(
            "docker",
            socket,
            int((home / "docker.pid").read_text()),
            [str(PEERS / "bin" / "docker")],
            {**os.environ, "DOCKER_HOST": f"unix://{socket}"},
            before,
        )
    finally:
        subprocess.run([SCRIPT, "stop"], check=False, env=environment)


def start_lodged(root: Path, program: Path | None = None) -> subprocess.Popen[bytes]:
    """Start the daemon (or a `program` that becomes it) on `root` and return when it answers."""
    program = program or Path(sys.executable).parent / "lodged"
    socket = root / "exec" / "lodge.sock"
    with open(root / "lodged.log", "ab") as log:
        process = subprocess.Popen(
            [
                str(program),
                f"--data-root={root / 'data'}",
                f"--exec-root={root / 'exec'}",
                f"--host=unix://{socket}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            client = EngineClient(str(socket))
            client.call("GET", "/_ping")
            client.close()
            return process
        time.sleep(0.002)
    process.kill()
    raise RuntimeError(f"lodged did not start:\n{(root / 'lodged.log').read_text()[-2000:]}")


@contextlib.contextmanager
def lodge(root: Path, program: Path | None = None) -> Iterator[Engine]:
    """Lodge with a root of its own and busybox in it; `program` as in `start_lodged`."""
    root.mkdir(parents=True)
    before = set(everything())
    process = start_lodged(root, program)
    socket = root / "exec" / "lodge.sock"
    engine = Engine(
        "lodge",
        socket,
        process.pid,
        [str(Path(sys.executable).parent / "lodge")],
        {**os.environ, "LODGE_HOST": f"unix://{socket}"},
        before,
    )
    try:
        client = engine.client()
        client.call(
            "POST",
            "/images/create",
            rootfs_tar(),
            fromSrc="-",
            repo="busybox",
            tag="latest",
            changes="CMD sh",
        )
        client.close()
        yield engine
    finally:
        client = engine.client()
        with contextlib.suppress(Exception):
            for one in client.call("GET", "/containers/json", all=1):
                client.remove(one["Id"], force=True)
        with contextlib.suppress(ProcessLookupError):
            os.kill(engine.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)


def rootfs_tar() -> bytes:
    """The file system of the peers' busybox image."""
    return (PEERS / "busybox-rootfs.tar").read_bytes()


@contextlib.contextmanager
def crun(scratch: Path) -> Iterator[Crun]:
    """crun, driven by a process that lives where crun finds a cgroup layout that it supports."""
    bundle = scratch / "bundle"
    (bundle / "rootfs").mkdir(parents=True)
    subprocess.run(["tar", "-xf", PEERS / "busybox-rootfs.tar", "-C", bundle / "rootfs"], check=True)
    program = PEERS / "native" / "crun"
    subprocess.run([program, "spec"], cwd=bundle, check=True)
    settings = (bundle / "config.json").read_text()
    settings = settings.replace('"terminal": true', '"terminal": false').replace('"sh"', '"true"')
    (bundle / "config.json").write_text(settings)
    runner = subprocess.Popen(
        [SCRIPT, "legacy", sys.executable, "-m", "bench.crun_runner", program, bundle, scratch / "crun"],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with runner:
        yield Crun(program, bundle, runner)
        assert runner.stdin is not None
        runner.stdin.close()
