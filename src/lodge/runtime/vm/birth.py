"""How a machine comes to life: as a copy of a frozen one where that works, else by a boot of its own."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from lodge.errors import LodgeError, StartFailed
from lodge.runtime.vm.machine import Machine, Wish
from lodge.runtime.vm.network import Wires
from lodge.runtime.vm.parts.base import Base
from lodge.runtime.vm.parts.frozen import Frozen
from lodge.runtime.vm.porter_link import MachineGone
from lodge.runtime.vm.qemu.command import kernel_command_line

_log = logging.getLogger(__name__)

# A processor with help is up in well under a second, an emulated one in three when it is alone.
_PATIENCE = {"kvm": 8.0}
_BOOT_PATIENCE = 120.0
_SAVE_PATIENCE = 120.0
_MIB = 1 << 20


class NoBoot(StartFailed):
    """A kernel did not come up in time, or the hypervisor refused to begin."""


class Birth(Struct):
    """One way to a machine that runs: `begin` starts it; `warm` says that it is a copy."""

    begin: Callable[[], Machine]
    warm: bool
    frozen: Frozen | None = None


def ways(root: str, wish: Wish, base: Base) -> Iterator[Birth]:
    """The ways, the fastest first: when one ends in MachineGone, try the next."""
    program = os.stat(wish.program)
    frozen = Frozen(
        root,
        Frozen.key_of(
            base.key,
            (wish.program, program.st_size, program.st_mtime_ns),
            (wish.accelerator, wish.memory, wish.processors),
            kernel_command_line(wish.accelerator, base),
        ),
    )
    try:
        if not frozen.ready:
            frozen.make(lambda memory, state: _freeze(wish, base, memory, state), wish.memory * _MIB)
        yield Birth(lambda: _copy(frozen, wish, base), warm=True, frozen=frozen)
    except NoBoot:
        # One that stays would not come up either.
        raise
    except (LodgeError, OSError) as error:
        _log.warning("no machine to copy can be made (%s): this one boots by itself", error)
    yield Birth(lambda: _boot(wish, base), warm=False)


def _boot(wish: Wish, base: Base) -> Machine:
    machine = Machine(wish, base)
    try:
        machine.porter.await_ready(_PATIENCE.get(wish.accelerator, _BOOT_PATIENCE))
    except MachineGone as error:
        text = machine.complaint() or str(error)
        machine.close()
        raise NoBoot(f"the machine did not come up: {text}", hint=error.hint) from error
    return machine


def _copy(frozen: Frozen, wish: Wish, base: Base) -> Machine:
    copy = frozen.open()
    try:
        machine = Machine(replace(wish, memory_file=copy.memory, state=copy.state), base)
        machine.on_close = lambda: _let_go(frozen, copy.memory)
    except BaseException:
        _let_go(frozen, copy.memory)
        raise
    finally:
        os.close(copy.state)
    try:
        _leave_memory_out(machine)
        machine.control.run("migrate-incoming", uri=f"fd:{copy.state}")
    except LodgeError as error:
        text = machine.complaint() or str(error)
        machine.close()
        raise MachineGone(text) from error
    return machine


def _leave_memory_out(machine: Machine) -> None:
    """The memory is a file that both sides have: it is not part of what is saved and loaded."""
    wish = [{"capability": "x-ignore-shared", "state": True}]
    machine.control.run("migrate-set-capabilities", capabilities=wish)


def _let_go(frozen: Frozen, memory: int) -> None:
    frozen.release()
    os.close(memory)


def _freeze(wish: Wish, base: Base, memory: int, state: int) -> None:
    """Boot a machine that has nothing of any container, and save it as it stands."""
    # The hypervisor opens it by itself, as its own user.
    os.fchmod(memory, 0o666)
    bare = replace(wish, image=-1, wires=Wires(), memory_file=memory, memory_shared=True)
    machine = _boot(bare, base)
    try:
        save(machine, state)
    finally:
        machine.close()
        os.fchmod(memory, 0o600)


def save(machine: Machine, state: int) -> None:
    """Write all of a machine but its memory to a file; it stands still then. StartFailed when QEMU can't.

    It is not stopped before: a copy would then wait to be resumed.
    """
    _leave_memory_out(machine)
    machine.control.run("getfd", fds=[state], fdname="state")
    machine.control.run("migrate", uri="fd:state")
    deadline = time.monotonic() + _SAVE_PATIENCE
    while time.monotonic() < deadline:
        status = machine.control.run("query-migrate").get("status")
        if status == "completed":
            return
        if status in ("failed", "cancelled"):
            break
        time.sleep(0.01)
    raise StartFailed("the machine could not be saved")
