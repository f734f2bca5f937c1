"""Removing all containers that don't run, by Docker's filters."""

from __future__ import annotations

from contextlib import suppress

from lodge.engine.containers.removal import Remover
from lodge.engine.filters import before, check_keys, prunable
from lodge.engine.models import Pruned
from lodge.engine.parts import Parts
from lodge.errors import LodgeError

_KNOWN = ("label", "label!", "until")


async def prune(parts: Parts, remover: Remover, filters: dict[str, list[str]]) -> Pruned:
    """What was removed; a container that can't be is left, the others go."""
    check_keys(filters, _KNOWN)
    until = before(filters)
    pruned = Pruned(deleted=[], image_deletions=[])
    for resident in parts.census:
        container = resident.container
        if container.state.status not in ("created", "exited", "dead"):
            continue
        if until is not None and container.created_at > until:
            continue
        if not prunable(container.wish.config.labels or {}, filters):
            continue
        with suppress(LodgeError, OSError):
            size, _ = await parts.bridge.call(parts.store.snapshots.usage, container.id)
            await remover.remove(resident, force=False, volumes=False)
            pruned.deleted.append(container.id)
            pruned.reclaimed += size
    parts.events.publish("container", "prune", "", {"reclaimed": str(pruned.reclaimed)})
    return pruned
