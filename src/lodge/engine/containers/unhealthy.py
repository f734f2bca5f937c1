"""What to do with a container that its health checks found unhealthy: nothing, restart, stop or kill it.

The wish is the annotation `io.lodge.health-on-failure` (`docker run --annotation`, Compose's `annotations`):
an annotation and not a label, since an image carries labels of its own and must not decide this. The checks
themselves are next door, in `health`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from lodge.engine.census import Resident
from lodge.engine.containers.stopping import Stopper
from lodge.engine.planning.checks import ON_UNHEALTHY
from lodge.errors import LodgeError

_log = logging.getLogger(__name__)


def wanted(annotations: Mapping[str, str] | None) -> str:
    """The action: "none", "restart", "stop" or "kill"."""
    return (annotations or {}).get(ON_UNHEALTHY, "none")


class UnhealthyActor:
    """Acts on unhealthy containers, in tasks of its own: a check that found it must not wait for its end."""

    def __init__(self, stopper: Stopper) -> None:
        self._stopper = stopper
        self._tasks: set[asyncio.Task[None]] = set()

    def act(self, resident: Resident) -> None:
        """Begin what the container's wish says."""
        action = wanted(resident.container.wish.host.annotations)
        if action == "none":
            return
        task = asyncio.get_running_loop().create_task(self._perform(resident, action))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, resident: Resident, action: str) -> None:
        container = resident.container
        _log.info("container %s is unhealthy: %s", container.name, action)
        try:
            match action:
                case "restart":
                    container.restart_count += 1
                    await self._stopper.restart(resident, signal_name=None, timeout=None)
                case "stop":
                    await self._stopper.stop(resident, signal_name=None, timeout=None)
                case _:
                    # Not as by hand: its restart policy is to see an end like any other.
                    await self._stopper.kill_and_wait(resident, by_hand=False)
        except LodgeError as error:
            _log.warning("container %s is unhealthy, and to %s it failed: %s", container.name, action, error)
