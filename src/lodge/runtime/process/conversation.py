"""The keeper's side of the handshake with an init or an exec: see `handshake` for what is said when."""

from __future__ import annotations

from lodge.kernel import namespaces as ns
from lodge.kernel.cgroups import Cgroup
from lodge.runtime.process.devices import granted
from lodge.runtime.process.handshake import (
    Channel,
    HooksDone,
    HooksDue,
    ListenerOpened,
    Mapped,
    Ready,
    Settled,
    TerminalOpened,
)
from lodge.runtime.process.hooks import HookRunner
from lodge.runtime.process.listener import hand_over
from lodge.runtime.process.prepared import close_all
from lodge.runtime.program import ChildProgram
from lodge.spec.runtime import Linux, Resources


def settle(program: ChildProgram, channel: Channel, linux: Linux, cgroup: Cgroup, *, mapped: bool) -> None:
    """Write the id maps of a new user namespace; make the control group while the child mounts."""
    if mapped:
        ns.write_id_maps(program.pid, linux.uid_mappings, linux.gid_mappings)
        channel.send(Mapped())
    entries = make_group(cgroup, linux)
    try:
        channel.send(Settled(), *entries)
    except BrokenPipeError:
        pass  # the child has failed meanwhile: its last words are read next
    finally:
        close_all(entries)


def make_group(cgroup: Cgroup, linux: Linux) -> list[int]:
    """Make the control group with its limits; the files that lead into it (`Cgroup.prepare_entry`)."""
    cgroup.create()
    resources = linux.resources or Resources()
    cgroup.apply(resources)
    cgroup.set_devices(granted(resources.devices))
    return cgroup.prepare_entry()


def converse(program: ChildProgram, channel: Channel, linux: Linux, hooks: HookRunner) -> None:
    """Answer the child until it is ready."""
    expected: list[type] = [HooksDue, TerminalOpened, ListenerOpened, Ready]
    while True:
        message, fd = channel.expect_any(*expected)
        # What may come next: nothing twice, nothing from before.
        del expected[: expected.index(type(message)) + 1]
        if isinstance(message, HooksDue):
            hooks.run("prestart", "creating", program.pid)
            hooks.run("create_runtime", "creating", program.pid)
            channel.send(HooksDone())
        elif isinstance(message, TerminalOpened):
            program.streams.terminal = fd
        elif isinstance(message, ListenerOpened):
            hand_over(linux, hooks.state, program.pid, message.fd, channel)
        else:
            return
