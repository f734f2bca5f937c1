"""The command as a whole process, from fork to exit: what a person or a script waits for."""

import os
from functools import partial

from bench.frame import Measured, Target, interleave, milliseconds, row
from bench.subjects import Engine, Subjects


def _spawn(engine: Engine, words: list[str]) -> None:
    command = [*engine.command, *words]
    null = os.open(os.devnull, os.O_RDWR)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1)]
        pid = os.posix_spawn(command[0], command, engine.environment, file_actions=actions)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code == 0, f"{' '.join(command)}: exit code {code}"
    finally:
        os.close(null)


def _measure(subjects: Subjects, words: list[str]) -> dict[str, list[float]]:
    actions = {
        name: partial(milliseconds, _spawn, engine, words) for name, engine in subjects.engines().items()
    }
    return interleave(actions, subjects.rounds * 5, warm_up=2)


@row("command")
def run_command(subjects: Subjects) -> list[Measured]:
    """`run --rm --network none busybox true`, the daemon running."""
    samples = _measure(subjects, ["run", "--rm", "--network", "none", "busybox", "true"])
    what = "`run --rm --network none busybox true` as a whole process"
    return [Measured(what, "ms", Target(ratio=1 / 6), "docker", samples)]


@row("version")
def version_command(subjects: Subjects) -> list[Measured]:
    """`version`: the start of the command and one round trip."""
    return [
        Measured("`version` as a whole process", "ms", Target(), "docker", _measure(subjects, ["version"]))
    ]
