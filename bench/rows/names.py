"""Names of a network: answers a second and how late the late ones are, with the daemon and without it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

from bench.engine_client import EngineClient
from bench.frame import Measured, Target, row
from bench.subjects import PROJECT, Engine, Subjects

NETWORK = "bench-names"
NAME = "bench-server"
SECONDS = 1.0


def _ask(pid: int) -> tuple[float, float]:
    """(answers a second, milliseconds of the 99th percentile) from inside a container's namespace."""
    program = [sys.executable, "-I", str(PROJECT / "bench" / "asking.py"), NAME, str(SECONDS)]
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", *program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    a_second, late = done.stdout.split()
    return float(a_second), float(late)


@contextlib.contextmanager
def _asker(client: EngineClient) -> Iterator[int]:
    """A network with a container to ask for and one to ask from: the pid of the latter."""
    client.call("POST", "/networks/create", {"Name": NETWORK})
    server = client.create(["sleep", "3600"], name=NAME, NetworkMode=NETWORK)
    asker = client.create(["sleep", "3600"], NetworkMode=NETWORK)
    try:
        for container in (server, asker):
            client.start(container)
        yield client.call("GET", f"/containers/{asker}/json")["State"]["Pid"]
    finally:
        for container in (server, asker):
            client.remove(container, force=True)
        client.call("DELETE", f"/networks/{NETWORK}")


@contextlib.contextmanager
def _stopped(engine: Engine) -> Iterator[None]:
    """The daemon does nothing for a while: to whoever asks for a name it is as good as dead."""
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(engine.pid, signal.SIGCONT)


@row("names")
def names(subjects: Subjects) -> list[Measured]:
    """A known name, asked for from a container of the same network."""
    rates: dict[str, list[float]] = {}
    lates: dict[str, list[float]] = {}
    alone_rates: dict[str, list[float]] = {}
    alone_lates: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        askers = {
            name: (engine, stack.enter_context(_asker(engine.client())))
            for name, engine in subjects.engines().items()
        }
        for _ in range(max(3, subjects.rounds // 2)):
            for name, (engine, pid) in askers.items():
                a_second, late = _ask(pid)
                rates.setdefault(name, []).append(a_second)
                lates.setdefault(name, []).append(late)
                if name == "lodge":
                    with _stopped(engine):
                        a_second, late = _ask(pid)
                    alone_rates.setdefault(name, []).append(a_second)
                    alone_lates.setdefault(name, []).append(late)
    # Docker's server is a part of its daemon: without it, it is compared with what it does with it.
    for theirs, ours in ((rates, alone_rates), (lates, alone_lates)):
        ours.update({name: samples for name, samples in theirs.items() if name != "lodge"})
    more, fewer = Target(ratio=1.0, more_is_better=True), Target(ratio=1.0)
    return [
        Measured("answers for a name of the network", "1/s", more, "docker", rates),
        Measured("the same, 99th percentile of single questions", "ms", fewer, "docker", lates),
        Measured("answers while the daemon is stopped", "1/s", more, "docker", alone_rates),
        Measured("the same, 99th percentile", "ms", fewer, "docker", alone_lates),
    ]
