"""Health checks: probes run as execs at their times; enough failures make a container unhealthy.

Times are counted on the monotonic clock, so that a clock that is set changes nothing (hostile row 46). The
checks go on when the engine was started anew. What follows from it is next door, in `unhealthy`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from lodge.engine.census import Resident
from lodge.engine.containers.news import announce
from lodge.engine.models import Health, Probe
from lodge.engine.parts import Parts
from lodge.errors import LodgeError
from lodge.spec.container import HealthCheck

_log = logging.getLogger(__name__)

_SECOND = 10**9
INTERVAL = 30 * _SECOND
TIMEOUT = 30 * _SECOND
START_INTERVAL = 5 * _SECOND
RETRIES = 3
KEPT = 5
LONGEST_OUTPUT = 4096


class Prober(Protocol):
    """Runs one probe: (exit code, output); TimeoutError when it takes too long."""

    async def __call__(self, resident: Resident, command: list[str], timeout: float) -> tuple[int, str]:
        """Run it in the container."""
        ...


def command_of(check: HealthCheck | None, shell: list[str] | None) -> list[str] | None:
    """The words to execute; None when there is no check."""
    if check is None or not check.test or check.test[0] == "NONE":
        return None
    if check.test[0] == "CMD-SHELL":
        return [*(shell or ["/bin/sh", "-c"]), " ".join(check.test[1:])]
    return check.test[1:]


def judge(health: Health, probe: Probe, *, retries: int, starting: bool) -> str:
    """Take a probe into the record; gives the new status. `starting`: within the start period."""
    health.log = [*health.log[-(KEPT - 1) :], probe]
    if probe.exit_code == 0:
        health.failing_streak = 0
        health.status = "healthy"
    elif not (starting and health.status == "starting"):
        health.failing_streak += 1
        if health.failing_streak >= retries:
            health.status = "unhealthy"
    return health.status


class HealthKeeper:
    """Keeps one task for each running container that has a check."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.probe: Prober
        self.unhealthy: Callable[[Resident], None]

    def begin(self, resident: Resident, *, again: bool = False) -> None:
        """Begin to check a container that runs; `again` keeps what is known of it."""
        config = resident.container.wish.config
        command = command_of(config.healthcheck, config.shell)
        state = resident.container.state
        if command is None:
            state.health = None
            return
        if not again or state.health is None:
            state.health = Health(status="starting", log=[])
        self.end(resident)
        resident.health = asyncio.get_running_loop().create_task(self._watch(resident, command))

    def end(self, resident: Resident) -> None:
        """Stop checking; idempotent."""
        task, resident.health = resident.health, None
        if task is not None:
            task.cancel()
            health = resident.container.state.health
            if health is not None and health.status == "healthy":
                health.status = "unhealthy"

    async def _watch(self, resident: Resident, command: list[str]) -> None:
        check = resident.container.wish.config.healthcheck
        assert check is not None
        begun = time.monotonic()
        while True:
            health = resident.container.state.health
            in_start = time.monotonic() - begun < check.start_period / _SECOND
            starting = in_start and health is not None and health.status == "starting"
            pause = (check.start_interval or START_INTERVAL) if starting else (check.interval or INTERVAL)
            await asyncio.sleep(pause / _SECOND)
            if resident.container.state.status != "running":
                continue
            await self._check(resident, command, check, starting=starting)

    async def _check(
        self, resident: Resident, command: list[str], check: HealthCheck, *, starting: bool
    ) -> None:
        timeout = (check.timeout or TIMEOUT) / _SECOND
        begun = time.time_ns()
        try:
            code, output = await self.probe(resident, command, timeout)
        except TimeoutError:
            code, output = -1, f"Health check exceeded timeout ({timeout:g}s)"
        except LodgeError as error:
            if resident.container.state.status != "running":
                return
            code, output = -1, str(error)
        health = resident.container.state.health
        if health is None:
            return
        before = health.status
        if len(output) > LONGEST_OUTPUT:
            output = output[:LONGEST_OUTPUT] + "..."
        probe = Probe(start=begun, end=time.time_ns(), exit_code=code, output=output)
        after = judge(health, probe, retries=check.retries or RETRIES, starting=starting)
        self._parts.rows.save(resident.container, durable=False)
        if after != before:
            announce(self._parts, resident, f"health_status: {after}")
            if after == "unhealthy":
                self.unhealthy(resident)
