"""Removing a container: it goes from sight at once, its files right after, and nothing is left.

Order: the state says removing, the program is ended if it must be, the files are renamed away, the row goes,
who waited is told. When a step fails the container stays, dead, with the reason, and can be removed again.
"""

from __future__ import annotations

import os
from contextlib import suppress

from lodge.engine.census import Resident
from lodge.engine.containers.clearing import clear_directory
from lodge.engine.containers.ending import Ending
from lodge.engine.containers.news import announce
from lodge.engine.containers.stopping import Stopper
from lodge.engine.lifecycle import Fact, advance, allows
from lodge.engine.models import ExitResult
from lodge.engine.parts import Parts
from lodge.errors import Conflict, LodgeError, NotFound


class Remover:
    """Removes containers."""

    def __init__(self, parts: Parts, stopper: Stopper, ending: Ending) -> None:
        self._parts = parts
        self._stopper = stopper
        self._ending = ending

    async def remove(self, resident: Resident, *, force: bool, volumes: bool) -> None:
        """Remove it; Conflict while it runs, unless `force`. `volumes` takes its anonymous ones along."""
        container = resident.container
        if container.state.status == "removing":
            raise Conflict(f"removal of container {container.name} is already in progress")
        if container.state.running:
            if not force:
                raise Conflict(
                    f'cannot remove container "{container.name}": {_why_not(container.state.status)}'
                )
            container.wish.host.auto_remove = False
        # A restart that is under way must not bring it back between its end and its removal.
        resident.doomed = True
        try:
            if container.state.running:
                with suppress(Conflict):
                    await self._stopper.kill_and_wait(resident)
            async with resident.lock:
                await self._remove(resident, volumes=volumes)
        finally:
            resident.doomed = False

    async def _remove(self, resident: Resident, *, volumes: bool) -> None:
        container = resident.container
        if resident.gone:
            raise NotFound(f"No such container: {container.name}")
        advance(container.state, Fact.REMOVING)
        try:
            await self._take_down(resident, volumes=volumes)
        except BaseException as error:
            if allows(container.state.status, Fact.STUCK):
                advance(container.state, Fact.STUCK)
                container.state.error = str(error)
            raise

    async def _take_down(self, resident: Resident, *, volumes: bool) -> None:
        parts, container = self._parts, resident.container
        self._ending.cancel_restart(resident)
        # The row first: after a crash the files without a row are swept up when the engine starts. Not
        # synced: at worst a power failure undoes it, and what is left of the files decides (recovery).
        parts.rows.remove(container.id)
        try:
            parts.store.snapshots.remove(container.id)
        except NotFound:
            pass
        except (OSError, LodgeError):
            parts.rows.save(container)
            raise
        parts.store.trash.throw(parts.directory(container.id))
        clear_directory(parts.state_directory(container.id))
        resident.gone = True
        parts.census.drop(resident)
        _forget_clients(resident)
        announce(parts, resident, "destroy")
        result = ExitResult(exit_code=container.state.exit_code, error="")
        for waiter in (*resident.removals, *resident.ends):
            if not waiter.done():
                waiter.set_result(result)
        if volumes:
            await self._remove_volumes(resident)

    async def _remove_volumes(self, resident: Resident) -> None:
        parts = self._parts
        for mount in resident.container.layout:
            if mount.type != "volume" or mount.inherited:
                continue
            if any(w.name == mount.name for other in parts.census for w in other.container.layout):
                continue
            with suppress(LodgeError):
                record = await parts.bridge.call(parts.volumes.get, mount.name)
                if record.anonymous:
                    await parts.bridge.call(parts.volumes.remove, mount.name)
                    parts.events.publish("volume", "destroy", mount.name, {"driver": record.driver})


def _why_not(status: str) -> str:
    if status == "paused":
        return "container is paused and must be unpaused first"
    return f"container is {status}: stop the container before removing or force remove"


def _forget_clients(resident: Resident) -> None:
    """Close the connections of clients that attached and never saw a start."""
    early, resident.early = resident.early, []
    for _attach, fd in early:
        os.close(fd)
