"""Images from and to a registry on loopback: pull, pull again after a change, push; the daemon's memory."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.engine_client import EngineClient, EngineError
from bench.frame import Measured, Target, row
from bench.registry import Registry, large_files, registry, small_files
from bench.subjects import PEERS, Engine, Subjects

HALF = Target(ratio=1 / 2)
MEMORY = Target(value=150)
MEGABYTE = 10**6


def _pull(client: EngineClient, image: str) -> float:
    """Milliseconds of a pull, and of a container of it, for engines that unpack late."""
    started = time.perf_counter()
    client.drain("POST", "/images/create", fromImage=image, tag="latest")
    client.remove(client.create(["/bin/true"], image=f"{image}:latest"))
    return (time.perf_counter() - started) * 1000


def _forget(client: EngineClient, image: str) -> None:
    client.call("DELETE", f"/images/{image}:latest", force=1)
    os.sync()


class _Podman:
    """Podman as a third subject, if it is there: each command a process, as its users have it."""

    def __init__(self) -> None:
        self.program = PEERS / "bin" / "podman"

    def run(self, *words: str) -> float:
        started = time.perf_counter()
        subprocess.run([self.program, *words], check=True, capture_output=True, timeout=300)
        return (time.perf_counter() - started) * 1000

    def pull(self, image: str) -> float:
        return self.run("pull", "-q", "--tls-verify=false", f"{image}:latest")

    def forget(self, image: str) -> None:
        self.run("rmi", "-f", f"{image}:latest")
        os.sync()


def _peak(engine: Engine, *, reset: bool) -> float:
    """The largest resident memory of the daemon since the last reset, in MB (proc(5): clear_refs, VmHWM)."""
    if reset:
        Path(f"/proc/{engine.pid}/clear_refs").write_text("5")
        return 0.0
    for line in Path(f"/proc/{engine.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / MEGABYTE
    raise RuntimeError("the kernel does not say how much memory a process had")


def _publish(where: Registry, name: str, make: Callable[[int], bytes], layers: int) -> str:
    where.publish(name, [make(number) for number in range(layers)])
    return f"{where.address}/{name}"


def _pulls(subjects: Subjects, image: str, title: str) -> list[Measured]:
    clients = {engine.name: engine.client() for engine in subjects.engines().values()}
    samples: dict[str, list[float]] = {name: [] for name in clients}
    podman = _Podman() if "docker" in clients else None
    peaks: list[float] = []
    for turn in range(max(2, subjects.rounds // 2)):
        for engine in subjects.engines().values():
            if engine.name == "lodge":
                _peak(engine, reset=True)
            sample = _pull(clients[engine.name], image)
            if engine.name == "lodge":
                peaks.append(_peak(engine, reset=False))
            _forget(clients[engine.name], image)
            if turn:
                samples[engine.name].append(sample)
        if podman is not None:
            sample = podman.pull(image)
            podman.forget(image)
            if turn:
                samples.setdefault("podman", []).append(sample)
    return [
        Measured(f"pull of {title}", "ms", HALF, "docker", samples),
        Measured(f"peak memory of the daemon meanwhile, {title}", "MB", MEMORY, "", {"lodge": peaks}),
    ]


@row("pull-small")
def pull_small(subjects: Subjects) -> list[Measured]:
    """300 MB in 30,000 files and six layers."""
    with registry(subjects.scratch / "registry") as where:
        image = _publish(where, "small", lambda n: small_files(n, 5000, 50 * MEGABYTE), 6)
        return _pulls(subjects, image, "30,000 files (300 MB) in 6 layers")


@row("pull-large")
def pull_large(subjects: Subjects) -> list[Measured]:
    """1 GB in four layers."""
    with registry(subjects.scratch / "registry") as where:
        image = _publish(where, "large", lambda n: large_files(n, 2, 256 << 20), 4)
        return _pulls(subjects, image, "1 GiB in 4 layers")


@row("pull-again")
def pull_again(subjects: Subjects) -> list[Measured]:
    """One layer of ten has changed; and the image with a small layer of its own on top is pushed."""
    with registry(subjects.scratch / "registry") as where:
        samples: dict[str, list[float]] = {name: [] for name in subjects.engines()}
        pushes: dict[str, list[float]] = {name: [] for name in subjects.engines()}
        layers = [small_files(number, 300, 10 * MEGABYTE) for number in range(10)]
        image = f"{where.address}/again"
        clients = {engine.name: engine.client() for engine in subjects.engines().values()}
        where.publish("again", layers)
        for client in clients.values():
            _pull(client, image)
        for turn in range(max(3, subjects.rounds)):
            where.publish("again", [*layers[:-1], small_files(100 + turn, 300, 10 * MEGABYTE)])
            for name, client in clients.items():
                sample = _pull(client, image)
                target = f"{where.address}/pushed-{name}-{turn}"
                pushed = _push(client, image, target)
                if turn:
                    samples[name].append(sample)
                    pushes[name].append(pushed)
        for client in clients.values():
            _forget(client, image)
    return [
        Measured("pull again, one layer of ten (10 MB each) changed", "ms", HALF, "docker", samples),
        Measured("push of ten layers of 10 MB to a new repository", "ms", HALF, "docker", pushes),
    ]


def _push(client: EngineClient, image: str, target: str) -> float:
    client.call("POST", f"/images/{image}:latest/tag", repo=target, tag="latest")
    client.headers = {"X-Registry-Auth": "e30="}
    started = time.perf_counter()
    told = client.call("POST", f"/images/{target}/push", tag="latest")
    taken = (time.perf_counter() - started) * 1000
    if b"errorDetail" in told:
        raise EngineError(told.decode())
    client.call("DELETE", f"/images/{target}:latest")
    return taken
