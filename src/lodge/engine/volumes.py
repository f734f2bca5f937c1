"""Named volumes for whoever calls the engine; fulfils `lodge.api.backend.Volumes`.

Their files are the volume room's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from lodge.engine import names
from lodge.engine.filters import before, check_keys, flag, matches_labels, prunable
from lodge.engine.models import Pruned, Volume
from lodge.engine.parts import Parts
from lodge.engine.planning.mount_wishes import check_volume_name
from lodge.errors import Conflict, LodgeError, NotFound
from lodge.volume.record import Volume as VolumeRecord

Many = list


class Volumes:
    """All volumes of an engine."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create(self, name: str, driver: str, options: dict[str, str], labels: dict[str, str]) -> Volume:
        """Make one, or give the one that is there. NotFound for a driver that is none."""
        if name:
            check_volume_name(name)
        if driver not in ("", "local"):
            raise NotFound(
                f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found'
            )
        parts = self._parts
        known = name and await self._exists(name)
        record = await parts.bridge.call(
            parts.volumes.create,
            name or names.new_id(),
            driver="local",
            options=options or None,
            labels=labels or None,
            anonymous=not name,
        )
        if not known:
            parts.events.publish("volume", "create", record.name, {"driver": record.driver})
        return _model(record)

    async def _exists(self, name: str) -> bool:
        try:
            await self._parts.bridge.call(self._parts.volumes.get, name)
        except NotFound:
            return False
        return True

    async def get(self, name: str) -> Volume:
        """One; NotFound "get x: no such volume"."""
        return _model(await self._parts.bridge.call(self._parts.volumes.get, name))

    async def list(self, filters: Mapping[str, Sequence[str]]) -> Many[Volume]:
        """Those that the filters choose, by name."""
        check_keys(filters, ("dangling", "driver", "label", "name"))
        records = await self._parts.bridge.call(self._parts.volumes.list)
        chosen = [_model(record) for record in records if _passes(record, filters)]
        if filters.get("dangling"):
            wanted = flag(filters, "dangling", False)
            used = self._used()
            chosen = [volume for volume in chosen if (volume.name not in used) == wanted]
        return sorted(chosen, key=lambda volume: volume.name)

    def _used(self) -> dict[str, Many[str]]:
        """The containers of each volume that is used."""
        used: dict[str, list[str]] = {}
        for resident in self._parts.census:
            for wish in resident.container.layout:
                if wish.type == "volume":
                    used.setdefault(wish.name, []).append(resident.id)
        return used

    async def remove(self, name: str, *, force: bool) -> None:
        """Remove it with its files; Conflict while a container has it, NotFound unless `force`."""
        parts = self._parts
        try:
            record = await parts.bridge.call(parts.volumes.get, name)
        except NotFound:
            if force:
                return
            raise
        if users := self._used().get(record.name):
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
        await parts.bridge.call(parts.volumes.remove, record.name)
        parts.events.publish("volume", "destroy", record.name, {"driver": record.driver})

    async def prune(self, filters: Mapping[str, Sequence[str]]) -> Pruned:
        """Remove those that no container has: the anonymous ones, with `all` the named too."""
        check_keys(filters, ("all", "label", "label!", "until"))
        everything = flag(filters, "all", False)
        until = before(filters)
        parts, used = self._parts, self._used()
        pruned = Pruned(deleted=[], image_deletions=[])
        for record in await parts.bridge.call(parts.volumes.list):
            if record.name in used or not (record.anonymous or everything):
                continue
            if until is not None and record.created_at > until:
                continue
            if not prunable(record.labels or {}, filters):
                continue
            with suppress(LodgeError, OSError):
                size = await parts.bridge.call(parts.volumes.size, record.name)
                await parts.bridge.call(parts.volumes.remove, record.name)
                pruned.deleted.append(record.name)
                pruned.reclaimed += size
                parts.events.publish("volume", "destroy", record.name, {"driver": record.driver})
        parts.events.publish("volume", "prune", "", {"reclaimed": str(pruned.reclaimed)})
        return pruned

    async def with_sizes(self) -> Many[Volume]:
        """All, with the bytes they take and how many containers have them."""
        used = self._used()
        found = await self.list({})
        for volume in found:
            volume.size = await self._parts.bridge.call(self._parts.volumes.size, volume.name)
            volume.references = len(used.get(volume.name, ()))
        return found


def _passes(record: VolumeRecord, filters: Mapping[str, Sequence[str]]) -> bool:
    if (wanted := filters.get("name")) and not any(w in record.name for w in wanted):
        return False
    if (drivers := filters.get("driver")) and record.driver not in drivers:
        return False
    return matches_labels(record.labels or {}, filters.get("label", ()))


def _model(record: VolumeRecord) -> Volume:
    return Volume(
        name=record.name,
        driver=record.driver,
        mountpoint=record.mountpoint,
        created_at=record.created_at,
        labels=record.labels,
        options=record.options,
    )
