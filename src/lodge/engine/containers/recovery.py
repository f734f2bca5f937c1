"""Coming up again: rows are read, monitors looked for, the plan of `recover` printed and done."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from contextlib import suppress

from lodge.engine import recover
from lodge.engine.census import Resident
from lodge.engine.containers.clearing import clear_directory
from lodge.engine.containers.ending import Ending
from lodge.engine.containers.facts import Facts
from lodge.engine.containers.removal import Remover
from lodge.engine.execs import Execs
from lodge.engine.lifecycle import Fact, advance
from lodge.engine.models import Container
from lodge.engine.parts import Parts
from lodge.engine.recover import Action, Finding, Step
from lodge.errors import LodgeError
from lodge.runtime.messages import Answer, Query, Report, Signal

_log = logging.getLogger(__name__)
_UNSTARTED = ("empty", "creating", "created")


class Recovery:
    """Done once, when an engine opens."""

    def __init__(self, parts: Parts, facts: Facts, ending: Ending, remover: Remover, execs: Execs) -> None:
        self._parts = parts
        self._facts = facts
        self._ending = ending
        self._remover = remover
        self._execs = execs
        self._findings: dict[str, Finding] = {}
        self._meetings: list[asyncio.Future[None]] = []

    async def run(self) -> None:
        """Bring rows and reality together."""
        parts = self._parts
        containers = [each for each in parts.rows.containers() if self._has_files(each)]
        for container in containers:
            parts.census.add(Resident(container))
            self._findings[container.id] = recover.look(parts.state_directory(container.id))
        for program in parts.rows.execs():
            with suppress(LodgeError):
                self._execs.adopt(parts.census.find(program.container_id), program)
        for action in recover.plan(containers, self._findings):
            if action.step is not Step.LEAVE:
                _log.info("%s", action)
            await self._do(action)
        if self._meetings:
            await asyncio.wait(self._meetings)
        self._sweep({container.id for container in containers})
        self._let_go_of_networks()

    def _has_files(self, container: Container) -> bool:
        """Whether there is anything to recover; a row alone is a removal that a power failure cut short."""
        if self._parts.store.snapshots.exists(container.id):
            return True
        self._parts.rows.remove(container.id)
        return False

    async def _do(self, action: Action) -> None:
        resident = self._parts.census.find(action.id)
        finding = self._findings[action.id]
        match action.step:
            case Step.MEET:
                assert finding.link is not None
                keeper = self._facts.meet(resident, finding.link)
                report = keeper.post(Query(request=keeper.next_number()))
                self._meetings.append(asyncio.ensure_future(self._meet(resident, report)))
            case Step.END if finding.end is not None:
                self._ending.ended(resident, finding.end)
            case Step.END:
                advance(resident.container.state, Fact.ENDED)
                self._parts.rows.save(resident.container)
            case Step.BURY:
                end = recover.bury(self._parts.state_directory(action.id))
                self._ending.ended(resident, end)
            case Step.START:
                self._start(resident)
            case Step.REMOVE:
                await self._remove(resident)
            case Step.LEAVE:
                clear_directory(self._parts.state_directory(action.id))

    async def _meet(self, resident: Resident, answer: asyncio.Future[Answer]) -> None:
        """Take over what the monitor says of its container."""
        try:
            report = await answer
        except LodgeError:
            return
        assert isinstance(report, Report)
        container = resident.container
        if report.phase in _UNSTARTED:
            await self._give_up(resident)
            return
        if report.phase in ("running", "paused"):
            self._take_over(resident, report)
        for state in report.execs:
            program = resident.execs.get(state.exec_id)
            if program is not None:
                program.running, program.pid, program.exit_code = state.code is None, state.pid, state.code
        running = {state.exec_id for state in report.execs if state.code is None}
        container.exec_ids = [each for each in container.exec_ids if each in running]

    async def _give_up(self, resident: Resident) -> None:
        """End what was made and never started: nobody waits for that program any more."""
        keeper = resident.keeper
        if keeper is not None:
            keeper.post(Signal(request=keeper.next_number(), number=signal.SIGKILL))
            keeper.close()
            resident.keeper = None
        self._findings[resident.id] = Finding()
        for action in recover.plan([resident.container], self._findings):
            await self._do(action)

    def _take_over(self, resident: Resident, report: Report) -> None:
        state = resident.container.state
        if state.status not in ("running", "paused"):
            self._facts.started(resident, report.pid, report.started_at_ns)
        if (state.status == "paused") != (report.phase == "paused"):
            advance(state, Fact.PAUSED if report.phase == "paused" else Fact.RESUMED)
        state.pid = report.pid
        ran_for = max(0.0, (time.time_ns() - report.started_at_ns) / 1e9)
        resident.started_clock = time.monotonic() - ran_for
        self._ending.health.begin(resident, again=True)

    def _start(self, resident: Resident) -> None:
        container = resident.container
        if container.state.status in ("running", "paused"):
            return
        if container.state.status == "exited":
            advance(container.state, Fact.AWAITING)
        self._ending.restart_soon(resident)

    async def _remove(self, resident: Resident) -> None:
        state = resident.container.state
        if state.status == "removing":
            advance(state, Fact.STUCK)
        try:
            await self._remover.remove(resident, force=True, volumes=False)
        except (LodgeError, OSError) as error:
            _log.error("container %s could not be removed: %s", resident.container.name, error)

    def _let_go_of_networks(self) -> None:
        """A start that was cut off left its places in the row; then the networks are taken up again."""
        for resident in self._parts.census:
            container = resident.container
            if not container.state.running and any(one.endpoint_id for one in container.networks.values()):
                self._ending.attachments.ended(container)
                self._parts.rows.save(container, durable=False)
        self._resuming = asyncio.ensure_future(self._parts.wiring.resume())

    def _sweep(self, known: set[str]) -> None:
        """Remove files of containers whose rows are gone: their removal, or their making, was cut off."""
        parts = self._parts
        for key in parts.store.snapshots.walk():
            if key not in known and len(key) == 64:
                parts.store.snapshots.remove(key)
        root = os.path.join(parts.settings.data_root, "containers")
        for name in os.listdir(root):
            if name not in known and len(name) == 64:
                clear_directory(os.path.join(root, name))
        states = os.path.join(parts.settings.exec_root, "containers")
        for name in os.listdir(states):
            if name not in known and len(name) == 64:
                recover.bury(os.path.join(states, name))
                clear_directory(os.path.join(states, name))
