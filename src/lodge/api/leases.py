"""Leases: what a client makes goes when the client goes (an endpoint of our own).

    GET /lodge/lease?id=ID&grace=SECONDS

answers one line, `{"Lease": ID, "Label": "io.lodge.lease=ID"}`, and stays open. Containers, networks and
volumes that have the label are removed once no connection has held the lease for `grace` seconds. So a test
run that is killed leaves nothing behind, without a helper container that must itself be cleaned up. After a
restart of the daemon, clients have a while to take their leases up again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from lodge.api.backend import Backend
from lodge.api.call import Call, encode
from lodge.api.router import Route
from lodge.errors import InvalidArgument, LodgeError

LABEL = "io.lodge.lease"
DEFAULT_GRACE = 5
ORPHAN_GRACE = 30.0
"""Seconds that a lease of before the daemon's start has."""

_log = logging.getLogger("lodge.api")
_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")
_LONGEST_GRACE = 3600


class Leases:
    """Who holds what, and the removal of what nobody holds."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._held: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """The table of this module."""
        return [Route("GET", "/lodge/lease", self.hold, bound=True)]

    async def hold(self, call: Call) -> None:
        """GET /lodge/lease: hold one until the connection ends."""
        lease = call.form.text("id") or os.urandom(16).hex()
        grace = call.form.integer("grace")
        grace = DEFAULT_GRACE if grace is None else grace
        if not _ID.fullmatch(lease):
            raise InvalidArgument("a lease's id has letters, digits, '_', '.', '-', 64 at most")
        if not 0 <= grace <= _LONGEST_GRACE:
            raise InvalidArgument(f"grace must be between 0 and {_LONGEST_GRACE} seconds")
        self._held[lease] += 1
        try:
            stream = call.stream("application/x-ndjson")
            await stream.write(encode({"Lease": lease, "Label": f"{LABEL}={lease}"}) + b"\n")
            await asyncio.get_running_loop().create_future()  # until the client goes
        finally:
            self._held[lease] -= 1
            self._spawn(self._let_go(lease, float(grace)))

    async def adopt(self) -> None:
        """Find the leases that things carry from before: they wait for their clients."""
        containers = await self._backend.containers.list(all=True, limit=0, filters={"label": [LABEL]})
        networks = await self._backend.networks.list({"label": [LABEL]})
        volumes = await self._backend.volumes.list({"label": [LABEL]})
        labels = [one.wish.config.labels for one in containers]
        labels += [one.labels for one in networks] + [one.labels for one in volumes]
        for lease in {found[LABEL] for found in labels if found and LABEL in found}:
            self._spawn(self._let_go(lease, ORPHAN_GRACE))

    async def close(self) -> None:
        """Forget everything; what is leased stays for the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _let_go(self, lease: str, grace: float) -> None:
        await asyncio.sleep(grace)
        if self._held[lease] > 0:
            return
        del self._held[lease]
        filters = {"label": [f"{LABEL}={lease}"]}
        for container in await self._backend.containers.list(all=True, limit=0, filters=filters):
            await _quietly(
                self._backend.containers.remove(container.id, force=True, volumes=True, link=False)
            )
        for network in await self._backend.networks.list(filters):
            await _quietly(self._backend.networks.remove(network.id))
        for volume in await self._backend.volumes.list(filters):
            await _quietly(self._backend.volumes.remove(volume.name, force=True))


async def _quietly(removal: Coroutine[Any, Any, None]) -> None:
    """What can't be removed is told in the log; the rest goes."""
    try:
        await removal
    except (LodgeError, OSError) as error:
        _log.warning("what was leased could not be removed: %s", error)
