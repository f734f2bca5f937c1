"""A container that writes short lines at full speed, and the reading of what it wrote."""

from functools import partial

from bench.engine_client import EngineClient
from bench.frame import Measured, Target, interleave, milliseconds, row
from bench.subjects import Subjects

MEGABYTES = 200
LINE = "a line of a log, as programs write them: sixty bytes in all"


@row("logs")
def logs(subjects: Subjects) -> list[Measured]:
    """200 MB through the default log driver; speeds are of the program's bytes, not of the file's."""
    clients = {name: engine.client() for name, engine in subjects.engines().items()}
    containers: dict[str, str] = {}

    def write(name: str) -> float:
        if name in containers:
            clients[name].remove(containers[name])
        script = f"yes '{LINE}' | head -c {MEGABYTES}000000"
        containers[name] = clients[name].create(["sh", "-c", script])
        return MEGABYTES * 1000 / milliseconds(_run, clients[name], containers[name])

    def read(name: str) -> float:
        return MEGABYTES * 1000 / milliseconds(_read, clients[name], containers[name])

    rounds = max(1, subjects.rounds // 3)
    written = interleave({name: partial(write, name) for name in clients}, rounds, warm_up=0)
    reads = interleave({name: partial(read, name) for name in clients}, rounds, warm_up=0)
    for name, client in clients.items():
        client.remove(containers[name])
    writing = Target(ratio=3, more_is_better=True)
    reading = Target(ratio=8, more_is_better=True)
    return [
        Measured(f"a container writing {MEGABYTES} MB of short lines", "MB/s", writing, "docker", written),
        Measured(f"`logs` of {MEGABYTES} MB of short lines", "MB/s", reading, "docker", reads),
    ]


def _run(client: EngineClient, container: str) -> None:
    client.start(container)
    code = client.wait(container)
    assert code == 0, code


def _read(client: EngineClient, container: str) -> None:
    count = client.drain("GET", f"/containers/{container}/logs", stdout=1, stderr=1)
    assert count >= MEGABYTES * 1_000_000, f"only {count} bytes of log"
