"""Looking at containers: list, inspect, processes, changes, figures, logs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from lodge.api import shapes_containers, shapes_system
from lodge.api.call import Call, close, encode
from lodge.api.router import Route
from lodge.engine.models import Container, LogQuery
from lodge.errors import InvalidArgument, NotFound, Unsupported
from lodge.wire.frames import MULTIPLEXED_TYPE, RAW_TYPE

_TAIL = re.compile(r"\d{1,18}", re.ASCII)


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("GET", "/containers/json", list_containers),
        Route("GET", "/containers/{name}/json", inspect),
        Route("GET", "/containers/{name}/top", top),
        Route("GET", "/containers/{name}/changes", changes),
        Route("GET", "/containers/{name}/stats", stats, bound=True),
        Route("GET", "/containers/{name}/logs", logs, bound=True),
    ]


async def list_containers(call: Call) -> None:
    """GET /containers/json."""
    form, backend = call.form, call.backend.containers
    limit = form.integer("limit") or 0
    found = await backend.list(all=form.flag("all"), limit=limit, filters=form.filters())
    if not form.flag("size"):
        call.reply([shapes_containers.summary(one, call.version) for one in found])
        return
    lines = []
    for one in found:
        try:
            lines.append(shapes_containers.summary(one, call.version, await backend.sizes(one.id)))
        except NotFound:
            continue  # removed while its files were being counted
    call.reply(lines)


async def inspect(call: Call) -> None:
    """GET /containers/{name}/json."""
    backend = call.backend.containers
    container = await backend.get(call.name)
    sizes = await backend.sizes(container.id) if call.form.flag("size") else None
    call.reply(shapes_containers.inspect(container, call.version, sizes))


async def top(call: Call) -> None:
    """GET /containers/{name}/top."""
    table = await call.backend.containers.top(call.name, call.form.text("ps_args"))
    call.reply({"Processes": table.processes, "Titles": table.titles})


async def changes(call: Call) -> None:
    """GET /containers/{name}/changes."""
    found = await call.backend.containers.changes(call.name)
    call.reply([{"Path": one.path, "Kind": one.kind} for one in found] or None)


async def stats(call: Call) -> None:
    """GET /containers/{name}/stats."""
    stream = call.form.flag("stream", True)
    one_shot = call.version >= 41 and call.form.flag("one-shot")
    if stream and one_shot:
        raise InvalidArgument("cannot have stream=true and one-shot=true")
    backend = call.backend.containers
    container = await backend.get(call.name)
    samples = await backend.stats(container.id, stream=stream, one_shot=one_shot)
    if stream:
        await call.send_lines(_stats_lines(container, samples))
        return
    try:
        async for sample in samples:
            call.reply(shapes_system.stats(container, sample))
            return
    finally:
        await close(samples)
    raise NotFound(f"No such container: {call.name}")


async def _stats_lines(container: Container, samples: AsyncIterator[object]) -> AsyncIterator[bytes]:
    try:
        async for sample in samples:
            yield encode(shapes_system.stats(container, sample)) + b"\n"  # type: ignore[arg-type]
    finally:
        await close(samples)


async def logs(call: Call) -> None:
    """GET /containers/{name}/logs."""
    form = call.form
    stdout, stderr = form.flag("stdout"), form.flag("stderr")
    if not stdout and not stderr:
        raise InvalidArgument("must specify at least one of 'stdout' or 'stderr'")
    if call.version >= 54 and form.text("format"):
        raise Unsupported("logs in the format 'json' are not offered; leave the format parameter out")
    query = LogQuery(
        stdout=stdout,
        stderr=stderr,
        follow=form.flag("follow"),
        since=form.moment("since"),
        until=form.moment("until"),
        timestamps=form.flag("timestamps"),
        details=form.flag("details"),
        tail=_tail(form.text("tail")),
    )
    container = await call.backend.containers.get(call.name)
    pieces = await call.backend.containers.logs(container.id, query)
    multiplexed = call.version >= 42 and not container.wish.config.tty
    stream = call.stream(MULTIPLEXED_TYPE if multiplexed else RAW_TYPE)
    try:
        async for piece in pieces:
            await stream.write(piece)
    finally:
        await close(pieces)
    stream.end()


def _tail(text: str) -> int:
    """How many lines; whatever is no number means all, as it does to Docker."""
    return int(text) if _TAIL.fullmatch(text) else -1
