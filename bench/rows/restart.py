"""The daemon is killed with fifty containers running and started again: how long until it knows them."""

import contextlib
import os
import signal
import subprocess
import time

from bench.engine_client import EngineClient, EngineError
from bench.frame import Measured, Target, row
from bench.subjects import NAME, SCRIPT, Engine, Subjects, start_lodged

COUNT = 50


def _kill(engine: Engine) -> None:
    """SIGKILL, and wait until the process is gone."""
    descriptor = os.pidfd_open(engine.pid)
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(engine.pid, 0)
    while os.path.exists(f"/proc/{engine.pid}/exe"):
        time.sleep(0.001)
    os.close(descriptor)


def _answers(engine: Engine) -> None:
    """Return when the list of running containers is whole again."""
    while True:
        with contextlib.suppress(OSError, EngineError):
            client = EngineClient(str(engine.socket))
            if len(client.call("GET", "/containers/json")) == COUNT:
                client.close()
                return
        time.sleep(0.002)


def _restart(engine: Engine) -> float:
    _kill(engine)
    started = time.perf_counter()
    if engine.name == "lodge":
        engine.pid = start_lodged(engine.socket.parent.parent).pid
    else:
        environment = {**os.environ, "PEERS_NAME": NAME}
        subprocess.run(
            [SCRIPT, "start", "--live-restore"], check=True, env=environment, stderr=subprocess.DEVNULL
        )
        engine.pid = int((engine.socket.parent / "docker.pid").read_text())
    _answers(engine)
    return (time.perf_counter() - started) * 1000


@row("restart")
def restart(subjects: Subjects) -> list[Measured]:
    """Docker runs with live-restore, so both engines' containers survive."""
    samples: dict[str, list[float]] = {}
    for name, engine in subjects.engines().items():
        client = engine.client()
        containers = [client.create(["sleep", "3600"]) for _ in range(COUNT)]
        for container in containers:
            client.start(container)
        client.close()
        samples[name] = [_restart(engine) for _ in range(max(1, subjects.rounds // 2))]
        client = engine.client()
        for container in containers:
            client.remove(container, force=True)
    what = f"kill and start again with {COUNT} running containers, until they are all listed"
    return [Measured(what, "ms", Target(value=800), "docker", samples)]
