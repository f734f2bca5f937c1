"""Two hundred running containers: list, inspect, stop and remove them."""

from functools import partial

from bench.engine_client import EngineClient
from bench.frame import Measured, Target, interleave, milliseconds, row
from bench.subjects import Engine, Subjects

HALF = 100


def _start(client: EngineClient, count: int) -> list[str]:
    made = []
    for _ in range(count):
        made.append(client.create(["sleep", "3600"], Init=False))
        client.start(made[-1])
    return made


def _remove(client: EngineClient, containers: list[str]) -> None:
    """Kill and remove them, one after another."""
    for container in containers:
        client.remove(container, force=True)


def _stop(client: EngineClient, containers: list[str]) -> None:
    """Stop them with no time to end by themselves."""
    for container in containers:
        client.call("POST", f"/containers/{container}/stop", t=0)


def _get(engines: dict[str, Engine], path: dict[str, str], rounds: int) -> dict[str, list[float]]:
    """Samples of a GET, the engines taking turns."""
    clients = {name: engine.client() for name, engine in engines.items()}
    actions = {
        name: partial(milliseconds, client.call, "GET", path[name]) for name, client in clients.items()
    }
    return interleave(actions, rounds)


@row("many")
def many(subjects: Subjects) -> list[Measured]:
    """Each engine holds 100, then 200; what takes longer than twice as long grows faster than linearly."""
    engines = subjects.engines()
    clients = {name: engine.client() for name, engine in engines.items()}
    rounds = subjects.rounds * 2
    the_list = dict.fromkeys(engines, "/containers/json")
    halves = {name: _start(client, HALF) for name, client in clients.items()}
    list_half = _get(engines, the_list, rounds)
    others = {name: _start(client, HALF) for name, client in clients.items()}
    list_all = _get(engines, the_list, rounds)
    inspect_all = _get(engines, {name: f"/containers/{ids[0]}/json" for name, ids in halves.items()}, rounds)
    for name, client in clients.items():
        listed = len(client.call("GET", "/containers/json"))
        assert listed == 2 * HALF, f"{name} lists {listed} of {2 * HALF} containers"
    killed = {name: [milliseconds(_remove, client, others[name])] for name, client in clients.items()}
    stopped = {name: [milliseconds(_stop, client, halves[name])] for name, client in clients.items()}
    removed = {name: [milliseconds(_remove, client, halves[name])] for name, client in clients.items()}
    peer = "docker"
    return [
        Measured(f"list of {HALF} running containers", "ms", Target(value=10), peer, list_half),
        Measured(f"list of {2 * HALF} running containers", "ms", Target(), peer, list_all),
        Measured(f"inspect of one of {2 * HALF}", "ms", Target(), peer, inspect_all),
        Measured(f"kill and remove {HALF}", "ms", Target(value=1000), peer, killed),
        Measured(f"stop {HALF}, no grace", "ms", Target(), peer, stopped),
        Measured(f"remove {HALF} stopped ones", "ms", Target(), peer, removed),
    ]
