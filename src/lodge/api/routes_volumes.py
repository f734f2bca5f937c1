"""Named volumes."""

from __future__ import annotations

from lodge.api.absent import not_a_manager
from lodge.api.call import Call
from lodge.api.requests import VolumeCreate
from lodge.api.router import Route
from lodge.api.shapes_system import volume


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("GET", "/volumes", list_volumes),
        Route("POST", "/volumes/create", create),
        Route("POST", "/volumes/prune", prune, since=25),
        Route("GET", "/volumes/{name}", inspect),
        Route("PUT", "/volumes/{name}", not_a_manager, since=42),
        Route("DELETE", "/volumes/{name}", remove),
    ]


async def list_volumes(call: Call) -> None:
    """GET /volumes."""
    found = await call.backend.volumes.list(call.form.filters())
    call.reply({"Volumes": [volume(one) for one in found], "Warnings": None})


async def inspect(call: Call) -> None:
    """GET /volumes/{name}."""
    call.reply(volume(await call.backend.volumes.get(call.name)))


async def create(call: Call) -> None:
    """POST /volumes/create."""
    asked = await call.json(VolumeCreate)
    if asked.cluster_volume_spec is not None and call.version >= 42:
        not_a_manager(call)
    made = await call.backend.volumes.create(
        asked.name, asked.driver or "local", asked.driver_opts or {}, asked.labels or {}
    )
    call.reply(volume(made), 201)


async def remove(call: Call) -> None:
    """DELETE /volumes/{name}."""
    await call.backend.volumes.remove(call.name, force=call.form.flag("force"))
    call.done()


async def prune(call: Call) -> None:
    """POST /volumes/prune: before 1.42 named volumes went too."""
    filters = call.form.filters()
    if call.version < 42:
        filters["all"] = ["true"]
    pruned = await call.backend.volumes.prune(filters)
    call.reply({"VolumesDeleted": pruned.deleted, "SpaceReclaimed": pruned.reclaimed})
