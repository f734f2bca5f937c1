"""Hooks: programs of the config's author, run at the stages of a container's life.

Source: config.md, POSIX-platform Hooks. Each gets the container's state as JSON on its standard input; one
that fails (or outlives its timeout) fails the start, except at poststart and poststop, where the failure is
only noted. prestart, createRuntime, poststart and poststop run in the keeper, createContainer in the init
before the pivot, startContainer in the init right before execve.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable, Sequence

from lodge.errors import InvalidArgument, StartFailed
from lodge.kernel.process import pidfd_open, pidfd_send_signal
from lodge.spec.runtime import Hook, Hooks, State, encode

_MAX_NOISE = 4096


class HookRunner:
    """Runs the hooks of one container. `state` is completed with the status of the stage."""

    def __init__(self, hooks: Hooks | None, state: State) -> None:
        self.hooks = hooks or Hooks()
        self.state = state

    def wanted(self, *stages: str) -> bool:
        """Whether any of these stages has a hook."""
        return any(getattr(self.hooks, stage) for stage in stages)

    def run(self, stage: str, status: str, pid: int, env: Sequence[str] = ()) -> None:
        """Run a stage's hooks in order; StartFailed at the first that fails. `env` is the default one."""
        self.state.status, self.state.pid = status, pid
        text = encode(self.state)
        for number, hook in enumerate(getattr(self.hooks, stage)):
            failure = run_hook(hook, text, env)
            if failure:
                raise StartFailed(f"error running {stage} hook #{number}: {failure}")

    def run_all(self, stage: str, status: str, pid: int) -> list[str]:
        """Run a stage's hooks, each of them whatever the others do; the failures as texts."""
        self.state.status, self.state.pid = status, pid
        text = encode(self.state)
        failures = []
        for number, hook in enumerate(getattr(self.hooks, stage)):
            if failure := run_hook(hook, text):
                failures.append(f"error running {stage} hook #{number}: {failure}")
        return failures


def check_hooks(hooks: Hooks | None) -> None:
    """InvalidArgument for a hook that the specification forbids."""
    if hooks is None:
        return
    for stage in hooks.__struct_fields__:
        for hook in getattr(hooks, stage):
            if not hook.path.startswith("/"):
                raise InvalidArgument(f"{stage} hook: the path {hook.path!r} must be absolute")
            if hook.timeout is not None and hook.timeout <= 0:
                raise InvalidArgument(f"{stage} hook {hook.path}: the timeout must be greater than 0")


def run_hook(hook: Hook, state: bytes, env: Sequence[str] = ()) -> str:
    """Run one hook to its end; "" or what went wrong, with the beginning of what it wrote."""
    stdin = os.memfd_create("hook-state", os.MFD_CLOEXEC)
    noise = os.memfd_create("hook-output", os.MFD_CLOEXEC)
    try:
        os.write(stdin, state)
        os.lseek(stdin, 0, os.SEEK_SET)
        try:
            pid = _spawn(hook, stdin, noise, env)
        except OSError as error:
            return f"exec {hook.path}: {(error.strerror or '').lower()}"
        problem = _wait(pid, hook.timeout)
        if not problem:
            return ""
        written = os.pread(noise, _MAX_NOISE, 0).decode("utf-8", "replace").strip()
        return f"{problem}, output: {written}" if written else problem
    finally:
        os.close(stdin)
        os.close(noise)


def _spawn(hook: Hook, stdin: int, noise: int, env: Sequence[str]) -> int:
    actions = (
        (os.POSIX_SPAWN_DUP2, stdin, 0),
        (os.POSIX_SPAWN_DUP2, noise, 1),
        (os.POSIX_SPAWN_DUP2, noise, 2),
    )
    environment = dict(_pairs(hook.env or env))
    # The keeper ignores signals and blocks others: a hook starts as every program expects to.
    return os.posix_spawn(
        hook.path,
        hook.args or [hook.path],
        environment,
        file_actions=actions,
        setsigmask=(),
        setsigdef=(signal.SIGPIPE, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD),
    )


def _wait(pid: int, timeout: int | None) -> str:
    """Wait for a child; "" when it ended well, else how it ended."""
    pidfd = pidfd_open(pid)
    try:
        waiter = select.poll()
        waiter.register(pidfd, select.POLLIN)
        if not waiter.poll(None if timeout is None else timeout * 1000):
            pidfd_send_signal(pidfd, signal.SIGKILL)
            os.waitpid(pid, 0)
            return f"hook ran past the specified timeout of {timeout}s"
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(pidfd)
    if code == 0:
        return ""
    return f"exit status {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"


def _pairs(env: Iterable[str]) -> Iterable[tuple[str, str]]:
    for entry in env:
        name, _, value = entry.partition("=")
        yield name, value
