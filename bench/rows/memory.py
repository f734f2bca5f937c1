"""What an engine takes while nothing happens, and for each container that runs."""

from bench.frame import Measured, Target, row
from bench.processes import pss, settle
from bench.subjects import Engine, Subjects

COUNT = 100


@row("idle")
def idle(subjects: Subjects) -> list[Measured]:
    """All processes of the engine, no container running."""
    settle(3)
    samples = {name: [pss(engine.processes())] for name, engine in subjects.engines().items()}
    return [Measured("idle, all processes of the engine, PSS", "MB", Target(value=60), "docker", samples)]


@row("used")
def used(subjects: Subjects) -> list[Measured]:
    """The same once the engine has done all that the other rows ask of it; it runs last."""
    settle(3)
    samples = {name: [pss(engine.processes())] for name, engine in subjects.engines().items()}
    return [Measured("after use, all processes of the engine, PSS", "MB", Target(), "docker", samples)]


def _per_container(engine: Engine) -> tuple[float, float]:
    """Memory that the first container adds, and that each of the next ones adds on average."""
    client = engine.client()
    none = pss(engine.processes())
    containers = [client.create(["sleep", "3600"])]
    client.start(containers[0])
    settle()
    one = pss(engine.processes())
    for _ in range(COUNT - 1):
        containers.append(client.create(["sleep", "3600"]))
        client.start(containers[-1])
    settle()
    all_ = pss(engine.processes())
    for container in containers:
        client.remove(container, force=True)
    return one - none, (all_ - one) / (COUNT - 1)


@row("container-memory")
def container_memory(subjects: Subjects) -> list[Measured]:
    """A hundred idle containers; their own programs are not counted."""
    first: dict[str, list[float]] = {}
    further: dict[str, list[float]] = {}
    for name, engine in subjects.engines().items():
        one, more = _per_container(engine)
        first[name], further[name] = [one], [more]
    return [
        Measured(
            f"each further running container, PSS, of {COUNT}", "MB", Target(value=1.5), "docker", further
        ),
        Measured("the first running container, PSS", "MB", Target(), "docker", first),
    ]
