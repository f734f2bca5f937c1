"""The child's side: a clone of the keeper performs its plan and becomes the program, or says why it can't.

Two lives begin here: `run_init` makes a container and waits for Start, `run_exec` joins one. Neither
returns: each ends in execve or in _exit. All modules are loaded before the clone; the test of the import
budget proves that nothing is imported here.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import signal
from collections.abc import Callable
from typing import NoReturn

from msgspec import Struct

from lodge.errors import LodgeError
from lodge.kernel import namespaces as ns
from lodge.kernel import process as kernel_process
from lodge.runtime.process import attributes, handshake, reaper
from lodge.runtime.process.birth import become_namespace_root
from lodge.runtime.process.cgroup_mount import enter
from lodge.runtime.process.gate import Gate
from lodge.runtime.process.handshake import Channel, Mapped, Ready
from lodge.runtime.process.hooks import HookRunner
from lodge.runtime.process.identity import Becoming, Program, become, take_terminal
from lodge.runtime.process.lookup import exec_failed
from lodge.runtime.process.operation import Operation, Site, refusal
from lodge.runtime.process.plan import Plan
from lodge.runtime.process.stdio import Stdio
from lodge.spec.runtime import Linux

_RESETTABLE = tuple(int(n) for n in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


class InitOrder(Struct, frozen=True):
    """What an init is to do. Without a `gate` the channel is one; `signals` are of `signals_to_reset`.

    `entries` gives the files that lead into the control group, when the init is to enter it.
    """

    plan: Plan
    linux: Linux
    stdio: Stdio
    channel: Channel
    hooks: HookRunner
    keyring: str
    signals: tuple[int, ...]
    gate: Gate | None
    mapped: bool
    entries: Callable[[], list[int]]


class ExecOrder(Struct, frozen=True):
    """What an exec is to do: join `flags` of the process that `target` (a pidfd) is, then execve.

    `entries` lead into the control group: `Cgroup.prepare_entry`.
    """

    becoming: Becoming
    operations: tuple[Operation, ...]
    linux: Linux
    stdio: Stdio
    channel: Channel
    entries: list[int]
    hooks: HookRunner
    keyring: str
    signals: tuple[int, ...]
    target: int
    flags: int


def run_init(order: InitOrder) -> NoReturn:
    """Make the container, wait at the gate, become its program."""
    _guard(order.channel, lambda: _init(order))


def run_exec(order: ExecOrder) -> NoReturn:
    """Join the container, become the program."""
    _guard(order.channel, lambda: _exec(order))


def _guard(channel: Channel, body: Callable[[], None]) -> NoReturn:
    # SAFETY: a forked child must never return into its parent's frames, whatever happens.
    try:
        body()
    except BaseException as error:
        try:
            os.write(channel.fileno(), handshake.failed(error))
        except OSError:
            pass
    finally:
        os._exit(1)


def _init(order: InitOrder) -> None:
    plan = order.plan
    _begin(order)
    if order.mapped:
        order.channel.expect(Mapped)
    attributes.set_early(plan.becoming.process, order.linux)
    site = Site(order.channel, order.hooks, order.entries)
    os.umask(0)
    for operation in plan.operations:
        _perform(operation, site)
    gate = order.gate or Gate(order.channel.fileno(), order.channel.fileno())
    _let_go(site, plan.becoming.preserve, {order.channel.fileno(), gate.wait, gate.answer})
    program = become(plan.becoming, order.channel)
    order.channel.send(Ready())
    if order.gate is not None:
        order.channel.close()
    _wait(gate)
    _start(order, program, gate)


def _start(order: InitOrder, program: Program, gate: Gate) -> None:
    """From here on the program's own rights and filter hold: read, write, execve."""
    try:
        if order.hooks.wanted("start_container"):
            env = [f"{name}={value}" for name, value in program.env.items()]
            order.hooks.run("start_container", "created", os.getpid(), env)
        if order.plan.becoming.extras.reaper:
            reaper.split(order.plan.becoming.preserve, order.plan.becoming.process.args)
        _execute(program, order.plan.becoming.preserve)
    except BaseException as error:
        os.write(gate.answer, handshake.failed(error))
        os._exit(1)


def _exec(order: ExecOrder) -> None:
    _begin(order)
    attributes.set_early(order.becoming.process, order.linux)
    enter(order.entries)
    ns.setns(order.target, order.flags)
    if order.flags & ns.CLONE_NEWUSER:
        become_namespace_root()
    # It is in the control group already.
    site = Site(order.channel, order.hooks, list)
    site.rootfd, site.root_path = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), "/"
    for operation in order.operations:
        _perform(operation, site)
    channel = order.channel.fileno()
    _let_go(site, order.becoming.preserve, {channel})
    program = become(order.becoming, order.channel)
    order.channel.send(Ready())
    if order.becoming.limited_by_keeper:
        _wait(Gate(channel, channel))
    _execute(program, order.becoming.preserve)


def signals_to_reset() -> tuple[int, ...]:
    """The signals that the caller ignores or handles: looked at in the keeper, where that costs least."""
    default = signal.SIG_DFL
    return tuple(number for number in _RESETTABLE if signal.getsignal(number) is not default)


def _begin(order: InitOrder | ExecOrder) -> None:
    """Stop being the keeper: not traceable, own session, default signals, own streams, own keys."""
    # The file /proc/<pid>/exe of this process is an interpreter of the host, its memory is the keeper's:
    # nobody in the container may look at either (CVE-2016-9962, CVE-2019-5736).
    kernel_process.set_dumpable(False)
    os.setsid()
    # Not through `signal`, whose enumerations would be copied page by page to say what nobody reads.
    for number in order.signals:
        _signal.signal(number, _signal.SIG_DFL)
    kernel_process.reset_reserved_signals()
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    order.stdio.install()
    if order.keyring:
        try:
            kernel_process.join_session_keyring(order.keyring)
        except OSError:
            # No keyrings in this kernel, or none left to this user: there is then nothing to be separated
            # from.
            pass


def _perform(operation: Operation, site: Site) -> None:
    try:
        operation.perform(site)
    except LodgeError:
        raise
    except OSError as error:
        raise refusal(str(operation).partition("\n")[0], error) from None


def _let_go(site: Site, preserve: int, keep: set[int]) -> None:
    """Take the terminal, then close everything of the host's that is open.

    Before a name of the container is looked at: /proc/self/fd/N must lead nowhere (CVE-2024-21626).
    """
    if site.terminal_slave >= 0:
        take_terminal(site.terminal_slave)
    first = 3 + preserve
    for fd in sorted(keep):
        if fd > first:
            kernel_process.close_range(first, fd - 1)
        first = max(first, fd + 1)
    kernel_process.close_range(first)


def _wait(gate: Gate) -> None:
    """Read one message; the end of file means that the keeper is dead, and nobody wants this container."""
    if not os.read(gate.wait, len(handshake.START)):
        os._exit(1)


def _execute(program: Program, preserve: int) -> NoReturn:
    kernel_process.close_range(3 + preserve, flags=kernel_process.CLOSE_RANGE_CLOEXEC)
    for fd in range(3, 3 + preserve):
        try:
            os.set_inheritable(fd, True)
        except OSError:
            pass
    try:
        os.execve(program.path, program.args, program.env)
    except OSError as error:
        raise exec_failed(program.path, error) from None
