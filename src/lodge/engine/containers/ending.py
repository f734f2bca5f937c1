"""A container's end and what follows: the row, the event, who waited, a restart by policy, removal.

Also ends that nobody told: a monitor that was killed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from lodge.engine import secrets
from lodge.engine.census import Resident
from lodge.engine.containers import restarts
from lodge.engine.containers.health import HealthKeeper
from lodge.engine.containers.news import announce, announce_unmounts
from lodge.engine.lifecycle import Fact, advance, allows
from lodge.engine.models import ExitResult
from lodge.engine.networks.attaching import Attachments
from lodge.engine.parts import Parts
from lodge.engine.recover import bury
from lodge.errors import LodgeError
from lodge.runtime.messages import Exited

_log = logging.getLogger(__name__)
_KILLED = 137


class Ending:
    """Deals with ends. `start` and `remove` come from the assembly, which knows who does these."""

    def __init__(self, parts: Parts, health: HealthKeeper, attachments: Attachments) -> None:
        self._parts = parts
        self.health = health
        self.attachments = attachments
        self.start: Callable[[Resident], Awaitable[None]]
        self.remove: Callable[[Resident], Awaitable[None]]
        self.closing = False
        self._tasks: set[asyncio.Task[None]] = set()

    def ended(self, resident: Resident, fact: Exited) -> None:
        """The program ended and its exit record is written."""
        container, state = resident.container, resident.container.state
        self._forget_monitor(resident)
        if not allows(state.status, Fact.ENDED):
            # It never started: whoever starts it has the error, and writes it.
            return
        again = self._wants_restart(resident, fact.code)
        ran_for = max(0.0, time.monotonic() - resident.started_clock)
        oom = fact.oom_killed or state.oom_killed
        how = Fact.AWAITING if again else Fact.ENDED
        advance(state, how, at=fact.at_ns, exit_code=fact.code, error=fact.error, oom_killed=oom)
        self.attachments.ended(container)
        removal = container.wish.host.auto_remove and not again and not resident.restarting_by_hand
        if again:
            container.restart_count += 1
        if not removal:
            # Not synced: it has to survive this engine, and a power failure ends every container anyway.
            self._parts.rows.save(container, durable=False)
        self._forget_execs(resident)
        announce_unmounts(self._parts, container)
        announce(self._parts, resident, "die", exitCode=str(fact.code), execDuration=str(int(ran_for)))
        result = ExitResult(
            exit_code=fact.code, error=fact.error, cpu_ns=fact.cpu_ns, peak_memory=fact.peak_memory
        )
        _resolve(resident.ends, result)
        if again:
            self._await_restart(resident, ran_for)
        elif removal:
            self._spawn(self._remove(resident))

    def _wants_restart(self, resident: Resident, code: int) -> bool:
        container = resident.container
        if self.closing or resident.restarting_by_hand:
            return False
        return restarts.wanted(
            container.wish.host.restart_policy,
            exit_code=code,
            manually_stopped=container.manually_stopped,
            restarts=resident.failures,
        )

    def _forget_monitor(self, resident: Resident) -> None:
        secrets.hide(self._parts, resident.container)
        # What it left in its directory the next monitor clears away, or the container's removal.
        self.health.end(resident)
        if resident.keeper is not None:
            resident.keeper.close()
            resident.keeper = None

    def _forget_execs(self, resident: Resident) -> None:
        for program in resident.execs.values():
            if program.running:
                program.running, program.exit_code, program.pid = False, _KILLED, 0
        for waiter in resident.exec_ends.values():
            if not waiter.done():
                waiter.set_result(_KILLED)
        resident.exec_ends.clear()
        resident.container.exec_ids.clear()
        if resident.execs:
            self._parts.rows.remove_execs(resident.id)

    def start_failed(self, resident: Resident) -> None:
        """A start did not succeed; the container goes where its auto-remove says."""
        self._forget_monitor(resident)
        self.attachments.ended(resident.container)
        if resident.container.wish.host.auto_remove:
            self._spawn(self._remove(resident))

    def monitor_gone(self, resident: Resident) -> None:
        """A monitor is gone without a last word: it was killed, and its container with it."""
        resident.keeper = None
        if resident.arrival is not None and not resident.arrival.done():
            resident.arrival.set_exception(LodgeError("the container's monitor was killed"))
            resident.arrival.exception()
        if self.closing or not allows(resident.container.state.status, Fact.ENDED):
            return
        self._spawn(self._bury(resident))

    async def _bury(self, resident: Resident) -> None:
        """Clean up after a killed monitor, then let the container end as it would have."""
        end = await self._parts.bridge.call(bury, self._parts.state_directory(resident.id))
        self.ended(resident, end)

    def _await_restart(self, resident: Resident, ran_for: float) -> None:
        resident.back_off = restarts.next_wait(resident.back_off, ran_for)
        if ran_for >= 10:
            resident.failures = 0
        resident.failures += 1
        resident.restart = asyncio.get_running_loop().create_task(self._restart(resident, resident.back_off))

    def restart_soon(self, resident: Resident) -> None:
        """Start it by its policy, as when the engine comes up again."""
        resident.restart = asyncio.get_running_loop().create_task(self._restart(resident, 0.0))

    async def _restart(self, resident: Resident, wait: float) -> None:
        await asyncio.sleep(wait)
        resident.restart = None
        try:
            await self.start(resident)
        except (LodgeError, OSError) as error:
            _log.warning("container %s could not be started again: %s", resident.container.name, error)

    def cancel_restart(self, resident: Resident) -> bool:
        """Let a container that awaits its restart end; whether it was awaiting one.

        One that is being started at this moment awaits nothing any more: the lock tells when it has been.
        """
        state = resident.container.state
        if resident.restart is None:
            return False
        resident.restart.cancel()
        resident.restart = None
        if state.status != "restarting":
            return False
        advance(state, Fact.ENDED)
        self._parts.rows.save(resident.container)
        return True

    async def _remove(self, resident: Resident) -> None:
        try:
            await self.remove(resident)
        except (LodgeError, OSError) as error:
            _log.error("container %s could not be removed: %s", resident.container.name, error)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """No restarts any more; wait for removals that are under way."""
        self.closing = True
        while self._tasks:
            await asyncio.wait(list(self._tasks), timeout=5)


def _resolve(waiters: list[asyncio.Future[ExitResult]], result: ExitResult) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(result)
    waiters.clear()
