"""A container's files from outside: what changed, export, and copies in and out.

All of it is done by short-lived workers that live inside the container's root (`runtime.files`); no path of a
container is ever resolved here.
"""

from __future__ import annotations

from lodge.engine.census import Resident
from lodge.engine.models import Change, PathStat
from lodge.engine.parts import Parts
from lodge.engine.pipes import Inflow, Outflow
from lodge.errors import Unsupported

_KINDS = {"C": 0, "A": 1, "D": 2}


async def changes(parts: Parts, resident: Resident) -> list[Change]:
    """What differs from the image, sorted by path."""
    found = await parts.bridge.call(parts.store.snapshots.changes, resident.id)
    return [Change(kind=_KINDS[kind], path=path) for kind, path in found]


async def export(parts: Parts, resident: Resident) -> Outflow:
    raise Unsupported("later")


async def stat_path(parts: Parts, resident: Resident, path: str) -> PathStat:
    raise Unsupported("later")


async def get_archive(parts: Parts, resident: Resident, path: str) -> tuple[PathStat, Outflow]:
    raise Unsupported("later")


async def put_archive(
    parts: Parts,
    resident: Resident,
    path: str,
    source: Inflow,
    *,
    no_overwrite_dir_non_dir: bool,
    copy_uid_gid: bool,
) -> None:
    raise Unsupported("later")
