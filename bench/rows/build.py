"""Building: ten small steps, the same again, a large context, stages beside each other.

BuildKit is driven by Docker's command with its buildx plugin (DOCKER_BUILDX names it), Lodge by its own
command. Steps run in the host's network with both: the peers' engine has no bridge.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.frame import Measured, Target, milliseconds, row
from bench.subjects import PEERS, Engine, Subjects

HALF, EVEN = Target(ratio=1 / 2), Target(ratio=1)
TEN = "FROM busybox\n" + "".join(f"RUN echo {number} > /{number}\n" for number in range(10))
FOUR = (
    "".join(f"FROM busybox AS s{number}\nRUN sleep 2; echo > /{number}\n" for number in range(4))
    + "FROM busybox\n"
    + "".join(f"COPY --from=s{number} /{number} /\n" for number in range(4))
)
MANY = "FROM busybox\nCOPY src /src\n"
PLUGIN = Path(
    os.environ.get("DOCKER_BUILDX", str(PEERS / "root/usr/libexec/docker/cli-plugins/docker-buildx"))
)


def _builder(subjects: Subjects, engine: Engine) -> Callable[..., None]:
    """What builds a directory with an engine."""
    environment = dict(engine.environment)
    words = [*engine.command, "build", "-q", "--network", "host"]
    if engine.name == "docker":
        if not PLUGIN.exists():
            raise FileNotFoundError(f"{PLUGIN}: docker-buildx is missing; name it in DOCKER_BUILDX")
        config = subjects.scratch / "docker-config"
        (config / "cli-plugins").mkdir(parents=True, exist_ok=True)
        shutil.copy2(PLUGIN, config / "cli-plugins" / "docker-buildx")
        environment |= {"DOCKER_CONFIG": str(config), "DOCKER_BUILDKIT": "1"}

    def build(directory: Path, *options: str) -> None:
        done = subprocess.run(
            [*words, *options, str(directory)], env=environment, capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{engine.name} build: {done.stderr.decode()[-1000:]}")

    return build


def _directory(subjects: Subjects, name: str, dockerfile: str) -> Path:
    made = subjects.scratch / f"build-{name}"
    made.mkdir(exist_ok=True)
    (made / "Dockerfile").write_text(dockerfile)
    return made


def _each(subjects: Subjects, once: Callable[[Callable[..., None]], float]) -> dict[str, list[float]]:
    """Milliseconds of `once` for every engine, their turns interleaved; the first round warms up."""
    builders = {name: _builder(subjects, engine) for name, engine in subjects.engines().items()}
    samples: dict[str, list[float]] = {name: [] for name in builders}
    for number in range(max(2, subjects.rounds // 2)):
        for name, build in builders.items():
            taken = once(build)
            if number:
                samples[name].append(taken)
    return samples


@row("build-steps")
def steps(subjects: Subjects) -> list[Measured]:
    """Ten RUNs, cold and cached."""
    ten = _directory(subjects, "ten", TEN)
    cold = _each(subjects, lambda build: milliseconds(build, ten, "--no-cache"))
    cached = _each(subjects, lambda build: milliseconds(build, ten))
    return [
        Measured("build of ten small RUN steps, without the cache", "ms", HALF, "docker", cold),
        Measured("the same, all cached, through the command", "ms", EVEN, "docker", cached),
    ]


@row("build-context")
def context(subjects: Subjects) -> list[Measured]:
    """30,000 files, of which one changes."""
    many = _directory(subjects, "many", MANY)
    for folder in range(300):
        place = many / "src" / str(folder)
        place.mkdir(parents=True)
        for number in range(100):
            (place / f"{number}.txt").write_text(f"{folder} {number}\n" * 20)
    turn = 0

    def once(build: Callable[..., None]) -> float:
        nonlocal turn
        turn += 1
        (many / "src/7/7.txt").write_text(f"{turn}\n")
        return milliseconds(build, many)

    return [Measured("build with 30,000 files, one changed", "ms", EVEN, "docker", _each(subjects, once))]


@row("build-stages")
def stages(subjects: Subjects) -> list[Measured]:
    """Four stages of two seconds each, which don't depend on each other."""
    four = _directory(subjects, "four", FOUR)
    samples = _each(subjects, lambda build: milliseconds(build, four, "--no-cache"))
    return [Measured("four independent stages of 2 s each", "ms", Target(value=2600), "docker", samples)]
