"""What monitors tell, as it comes: the one place where a running container's state changes.

Each fact is dealt with at once and in order, without waiting for anything in between; what takes longer (a
restart, a removal) becomes a task of its own in `ending`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lodge.engine.census import Resident
from lodge.engine.containers.ending import Ending
from lodge.engine.containers.news import announce, announce_mounts
from lodge.engine.keepers import Keeper
from lodge.engine.lifecycle import Fact, advance, allows
from lodge.engine.networks.attaching import Attachments
from lodge.engine.parts import Parts
from lodge.runtime import messages

if TYPE_CHECKING:
    from lodge.runtime.link import MonitorLink


class Facts:
    """Deals with the facts of all containers."""

    def __init__(self, parts: Parts, ending: Ending, attachments: Attachments) -> None:
        self._parts = parts
        self._ending = ending
        self._attachments = attachments

    def meet(self, resident: Resident, link: MonitorLink) -> Keeper:
        """Begin to talk with a container's monitor."""
        keeper = Keeper(
            link, lambda fact: self._deal(resident, fact), lambda: self._ending.monitor_gone(resident)
        )
        resident.keeper = keeper
        return keeper

    def start_failed(self, resident: Resident) -> None:
        """A start did not succeed; its state is written."""
        self._ending.start_failed(resident)

    def _deal(self, resident: Resident, fact: messages.Event) -> None:
        match fact:
            case messages.Born():
                if resident.cradle is not None and not resident.cradle.done():
                    resident.cradle.set_result(fact.pid)
            case messages.Started():
                self.started(resident, fact.pid, fact.at_ns)
            case messages.Exited():
                self._ending.ended(resident, fact)
            case messages.ExecExited():
                self._exec_ended(resident, fact)
            case messages.Detached(exec_id=None):
                announce(self._parts, resident, "detach")
            case messages.Detached():
                announce(self._parts, resident, "exec_detach", execID=fact.exec_id or "")
            case messages.OutOfMemory():
                resident.container.state.oom_killed = True
                announce(self._parts, resident, "oom")
            case _:
                pass

    def started(self, resident: Resident, pid: int, at: int) -> None:
        """The program runs."""
        state = resident.container.state
        if not allows(state.status, Fact.STARTED):
            return
        advance(state, Fact.STARTED, at=at or time.time_ns(), pid=pid)
        resident.started_clock = time.monotonic()
        self._attachments.started(resident.container, pid)
        # Not synced: after a power failure nothing runs anyway, and the monitor's record tells the rest.
        self._parts.rows.save(resident.container, durable=False)
        announce_mounts(self._parts, resident.container)
        self._attachments.announce_start(resident.container)
        announce(self._parts, resident, "start")
        if resident.arrival is not None and not resident.arrival.done():
            resident.arrival.set_result(None)
        self._ending.health.begin(resident)

    def _exec_ended(self, resident: Resident, fact: messages.ExecExited) -> None:
        probe = resident.exec_ends.pop(fact.exec_id, None)
        if probe is not None and not probe.done():
            probe.set_result(fact.code)
        program = resident.execs.get(fact.exec_id)
        if program is None:
            return
        program.running, program.exit_code, program.pid = False, fact.code, 0
        if fact.exec_id in resident.container.exec_ids:
            resident.container.exec_ids.remove(fact.exec_id)
        self._parts.rows.save_exec(program)
        announce(self._parts, resident, "exec_die", execID=fact.exec_id, exitCode=str(fact.code))
