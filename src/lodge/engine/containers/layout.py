"""The mounts of a container in the making: volumes are made, others' volumes inherited, records written."""

from __future__ import annotations

import os

import msgspec
from msgspec import Struct

from lodge.engine import names, secrets
from lodge.engine.models import Container, MountRecord
from lodge.engine.parts import Parts
from lodge.engine.planning import remap
from lodge.engine.planning.mount_wishes import MountWish, collect, parse_volumes_from
from lodge.errors import InvalidArgument


class Made(Struct):
    """What was made on the way, for whoever has to take it back."""

    snapshot: bool = False
    volumes: list[str] = []


async def lay_out(parts: Parts, container: Container, made: Made) -> None:
    """Fill `layout` and `mounts` of the container; volumes that are made are noted in `made` at once."""
    host, config = container.wish.host, container.wish.config
    inherited = _inherited(parts, host.volumes_from or [])
    wishes = collect(host, inherited, config.volumes)
    root = parts.facts.mappings.root if remap.wanted(host, parts.facts.mappings) else None
    for wish in wishes:
        match wish.type:
            case "volume":
                await _make_volume(parts, wish, made, root)
            case "bind":
                check_source(wish)
            case "image":
                wish.name = parts.images.find(wish.source, None).image.id
            case "secret":
                secrets.resolve(parts, wish)
            case _:
                pass
    container.layout = wishes
    container.mounts = [_record(wish) for wish in wishes]


def _inherited(parts: Parts, texts: list[str]) -> list[MountWish]:
    found: list[MountWish] = []
    for text in texts:
        name, mode = parse_volumes_from(text)
        for wish in parts.census.named(name).container.layout:
            if wish.type not in ("bind", "volume"):
                continue
            found.append(
                msgspec.structs.replace(
                    wish, inherited=True, copy=False, read_only=wish.read_only or "ro" in mode.split(",")
                )
            )
    return found


async def _make_volume(parts: Parts, wish: MountWish, made: Made, root: tuple[int, int] | None) -> None:
    anonymous = not wish.name
    name = wish.name or names.new_id()
    known = {v.name for v in await parts.bridge.call(parts.volumes.list)} if not anonymous else set()
    record = await parts.bridge.call(
        parts.volumes.create,
        name,
        driver=wish.driver or "local",
        options=wish.driver_options,
        labels=wish.labels,
        anonymous=anonymous,
    )
    if name not in known:
        made.volumes.append(name)
        if root is not None:
            os.chown(record.mountpoint, *root)
        attributes = {"driver": record.driver}
        parts.events.publish("volume", "create", name, attributes)
    wish.name, wish.driver = name, record.driver
    wish.source = record.mountpoint


def check_source(wish: MountWish) -> None:
    """A bind's source must be there, unless it is made: InvalidArgument in Docker's words."""
    if not wish.create_source and not os.path.lexists(wish.source):
        raise InvalidArgument(
            f'invalid mount config for type "bind": bind source path does not exist: {wish.source}'
        )


def _record(wish: MountWish) -> MountRecord:
    return MountRecord(
        type=wish.type,
        destination=wish.destination,
        source=wish.source,
        name=wish.name if wish.type == "volume" else "",
        driver=wish.driver if wish.type == "volume" else "",
        mode=wish.mode
        or ("z" if wish.type == "volume" and not wish.inherited and not wish.read_only else ""),
        read_write=not wish.read_only,
        propagation=wish.propagation,
    )
