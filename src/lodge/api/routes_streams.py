"""Connections that are given away: attach, attach over websocket, exec; and the sizes of terminals."""

from __future__ import annotations

from lodge.api.call import Call
from lodge.api.requests import ExecCreate, ExecStart, window
from lodge.api.router import Route
from lodge.api.shapes_system import exec_
from lodge.engine.models import AttachQuery, ExecWish
from lodge.errors import InvalidArgument
from lodge.wire.frames import MULTIPLEXED_TYPE, RAW_TYPE


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("POST", "/containers/{name}/attach", attach),
        Route("GET", "/containers/{name}/attach/ws", attach_websocket),
        Route("POST", "/containers/{name}/resize", resize),
        Route("POST", "/containers/{name}/exec", create_exec),
        Route("POST", "/exec/{name}/start", start_exec),
        Route("POST", "/exec/{name}/resize", resize_exec),
        Route("GET", "/exec/{name}/json", inspect_exec),
    ]


async def attach(call: Call) -> None:
    """POST /containers/{name}/attach."""
    form = call.form
    query = AttachQuery(
        stdin=form.flag("stdin"),
        stdout=form.flag("stdout"),
        stderr=form.flag("stderr"),
        stream=form.flag("stream"),
        logs=form.flag("logs"),
        detach_keys=form.text("detachKeys"),
    )
    container = await call.backend.containers.get(call.name)
    framed = not container.wish.config.tty
    give = await call.backend.containers.attach(container.id, query, framed=framed)
    give(call.exchange.upgrade(_stream_type(call, framed), raw_type=RAW_TYPE))


async def attach_websocket(call: Call) -> None:
    """GET /containers/{name}/attach/ws: never in frames of Docker's own."""
    form = call.form
    everything = call.version < 42
    query = AttachQuery(
        stdin=everything or form.flag("stdin"),
        stdout=everything or form.flag("stdout"),
        stderr=everything or form.flag("stderr"),
        stream=form.flag("stream"),
        logs=form.flag("logs"),
        detach_keys=form.text("detachKeys"),
    )
    give = await call.backend.containers.attach(call.name, query, framed=False)
    give(call.exchange.websocket())


def _stream_type(call: Call, framed: bool) -> str:
    return MULTIPLEXED_TYPE if framed and call.version >= 42 else RAW_TYPE


async def resize(call: Call) -> None:
    """POST /containers/{name}/resize."""
    await call.backend.containers.resize(call.name, *_size(call))
    call.done(200)


def _size(call: Call) -> tuple[int, int]:
    return call.form.unsigned("h", "resize height"), call.form.unsigned("w", "resize width")


async def create_exec(call: Call) -> None:
    """POST /containers/{name}/exec."""
    asked = await call.json(ExecCreate)
    if not asked.cmd:
        raise InvalidArgument("No exec command specified")
    wish = ExecWish(
        command=asked.cmd,
        terminal=asked.tty,
        attach_stdin=asked.attach_stdin,
        attach_stdout=asked.attach_stdout,
        attach_stderr=asked.attach_stderr,
        detach_keys=asked.detach_keys,
        env=asked.env or [],
        working_dir=asked.working_dir,
        user=asked.user,
        privileged=asked.privileged,
        window=window(asked.console_size) if call.version >= 42 else None,
    )
    made = await call.backend.execs.create(call.name, wish)
    call.reply({"Id": made.id}, 201)


async def start_exec(call: Call) -> None:
    """POST /exec/{id}/start."""
    asked = await call.json(ExecStart)
    size = window(asked.console_size) if call.version >= 42 and asked.tty else None
    give = await call.backend.execs.start(
        call.name, detach=asked.detach, terminal=asked.tty, window=size, framed=not asked.tty
    )
    if give is None:
        call.done(200)
    else:
        give(call.exchange.upgrade(_stream_type(call, not asked.tty), raw_type=RAW_TYPE))


async def resize_exec(call: Call) -> None:
    """POST /exec/{id}/resize."""
    await call.backend.execs.resize(call.name, *_size(call))
    call.done(200)


async def inspect_exec(call: Call) -> None:
    """GET /exec/{id}/json."""
    call.reply(exec_(await call.backend.execs.get(call.name)))
