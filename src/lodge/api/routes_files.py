"""Files of containers: stat, copy out, copy in, export. Tar goes through, never into memory."""

from __future__ import annotations

import base64

from lodge.api.call import Call, encode
from lodge.api.router import Route
from lodge.api.shapes_system import path_stat
from lodge.api.transfer import send_out
from lodge.engine.models import PathStat
from lodge.errors import InvalidArgument
from lodge.http.answer import Headers


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("HEAD", "/containers/{name}/archive", stat),
        Route("GET", "/containers/{name}/archive", get_archive),
        Route("PUT", "/containers/{name}/archive", put_archive),
        Route("GET", "/containers/{name}/export", export),
    ]


def _path(call: Call) -> str:
    path = call.form.text("path")
    if not path:
        raise InvalidArgument("bad parameter: path cannot be empty")
    return path


def _stat_header(value: PathStat) -> Headers:
    return (("X-Docker-Container-Path-Stat", base64.b64encode(encode(path_stat(value))).decode("ascii")),)


async def stat(call: Call) -> None:
    """HEAD /containers/{name}/archive."""
    found = await call.backend.containers.stat_path(call.name, _path(call))
    call.exchange.respond(200, headers=_stat_header(found))


async def get_archive(call: Call) -> None:
    """GET /containers/{name}/archive."""
    found, flow = await call.backend.containers.get_archive(call.name, _path(call))
    await send_out(call, flow, "application/x-tar", _stat_header(found), may_compress=True)


async def put_archive(call: Call) -> None:
    """PUT /containers/{name}/archive."""
    form, path = call.form, _path(call)
    await call.backend.containers.put_archive(
        call.name,
        path,
        call.inflow(),
        no_overwrite_dir_non_dir=form.flag("noOverwriteDirNonDir"),
        copy_uid_gid=form.flag("copyUIDGID"),
    )
    call.done(200)


async def export(call: Call) -> None:
    """GET /containers/{name}/export."""
    flow = await call.backend.containers.export(call.name)
    await send_out(call, flow, "application/octet-stream")
