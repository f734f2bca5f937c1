"""One short container over the socket beside `crun run`, and one exec beside Docker's."""

from collections.abc import Callable
from functools import partial

from bench.engine_client import EngineClient
from bench.frame import Measured, Target, interleave, milliseconds, row
from bench.subjects import Subjects


def _run_true(client: EngineClient) -> None:
    container = client.create(["true"])
    client.start(container)
    code = client.wait(container)
    client.remove(container)
    assert code == 0, code


@row("run")
def run(subjects: Subjects) -> list[Measured]:
    """Create, start, wait and remove, over one connection."""
    clients = {name: engine.client() for name, engine in subjects.engines().items()}
    actions: dict[str, Callable[[], float]] = {
        name: partial(milliseconds, _run_true, client) for name, client in clients.items()
    }
    if subjects.crun is not None:
        actions["crun"] = subjects.crun.run
    samples = interleave(actions, subjects.rounds * 10, warm_up=3)
    what = "create + start + wait + remove of `true`, no network, over the socket"
    return [
        Measured(what, "ms", Target(ratio=1.0), "crun", samples, "crun: `crun run` of the same files"),
        Measured(what, "ms", Target(), "docker", samples),
    ]


def _execute_true(client: EngineClient, container: str) -> None:
    code = client.execute(container, ["true"])
    assert code == 0, code


@row("exec")
def execute(subjects: Subjects) -> list[Measured]:
    """Exec of `true` with its output read to the end and its exit code asked for."""
    clients = {name: engine.client() for name, engine in subjects.engines().items()}
    containers = {name: client.create(["sleep", "3600"]) for name, client in clients.items()}
    for name, client in clients.items():
        client.start(containers[name])

    actions = {
        name: partial(milliseconds, _execute_true, client, containers[name])
        for name, client in clients.items()
    }
    samples = interleave(actions, subjects.rounds * 5, warm_up=3)
    for name, client in clients.items():
        client.remove(containers[name], force=True)
    what = "exec of `true` in a running container, over the socket"
    return [Measured(what, "ms", Target(ratio=0.1, value=6), "docker", samples)]
