"""The life of containers: create, start, stop, kill, pause, wait, rename, update, remove, prune, commit."""

from __future__ import annotations

from typing import Any

import msgspec

from lodge.api import bodies, create_request
from lodge.api.call import Call, encode
from lodge.api.requests import Update
from lodge.api.router import Route
from lodge.engine.models import NetworkChange
from lodge.errors import Conflict, InvalidArgument, LodgeError, NotFound
from lodge.spec.container import ContainerConfig
from lodge.spec.reference import Reference

_DEVICE_RATES = (
    "BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps",
)  # fmt: skip

_NO_LIMITS = ("RestartPolicy", "PortBindings", "Annotations")


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("POST", "/containers/create", create),
        Route("POST", "/containers/{name}/start", start),
        Route("POST", "/containers/{name}/stop", stop),
        Route("POST", "/containers/{name}/restart", restart),
        Route("POST", "/containers/{name}/kill", kill),
        Route("POST", "/containers/{name}/pause", pause),
        Route("POST", "/containers/{name}/unpause", unpause),
        Route("POST", "/containers/{name}/wait", wait, bound=True),
        Route("POST", "/containers/{name}/rename", rename),
        Route("POST", "/containers/{name}/update", update),
        Route("DELETE", "/containers/{name}", remove),
        Route("POST", "/containers/prune", prune, since=25),
        Route("POST", "/commit", commit),
    ]


async def create(call: Call) -> None:
    """POST /containers/create."""
    data = await call.body()
    wish, warnings = create_request.read(data, call.version)
    name = call.form.text("name") or None
    platform = call.form.text("platform") or None if call.version >= 41 else None
    container, more = await call.backend.containers.create(name, wish, platform)
    call.reply({"Id": container.id, "Warnings": more + warnings}, 201)


async def start(call: Call) -> None:
    """POST /containers/{name}/start."""
    if call.exchange.head.length > 7 or call.exchange.head.length < 0:
        raise InvalidArgument(
            "starting container with non-empty request body was deprecated since API v1.22 "
            "and removed in v1.24"
        )
    if call.form.text("checkpoint"):
        raise InvalidArgument("checkpoint is only supported in experimental mode")
    await call.backend.containers.start(call.name)
    call.done()


async def stop(call: Call) -> None:
    """POST /containers/{name}/stop."""
    signal, timeout = _ending(call)
    await call.backend.containers.stop(call.name, signal=signal, timeout=timeout)
    call.done()


async def restart(call: Call) -> None:
    """POST /containers/{name}/restart."""
    signal, timeout = _ending(call)
    await call.backend.containers.restart(call.name, signal=signal, timeout=timeout)
    call.done()


def _ending(call: Call) -> tuple[str | None, int | None]:
    signal = call.form.text("signal") if call.version >= 42 else ""
    return signal or None, call.form.integer("t")


async def kill(call: Call) -> None:
    """POST /containers/{name}/kill."""
    try:
        await call.backend.containers.kill(call.name, call.form.text("signal"))
    except (InvalidArgument, Conflict, NotFound) as error:
        prefix = f"cannot kill container: {call.name}: "
        if not error.message.startswith("cannot kill container"):
            raise type(error)(prefix + error.message, hint=error.hint) from None
        raise
    call.done()


async def pause(call: Call) -> None:
    """POST /containers/{name}/pause."""
    await call.backend.containers.pause(call.name)
    call.done()


async def unpause(call: Call) -> None:
    """POST /containers/{name}/unpause."""
    await call.backend.containers.unpause(call.name)
    call.done()


async def wait(call: Call) -> None:
    """POST /containers/{name}/wait: headers at once, the result when it is there."""
    condition = "not-running"
    if call.version >= 30:
        condition = call.form.text("condition") or condition
    if condition not in ("not-running", "next-exit", "removed"):
        raise InvalidArgument(f'invalid condition: "{condition}"')
    ending = await call.backend.containers.wait(call.name, condition)
    stream = call.stream() if call.version >= 30 else None
    failure = ""
    code = -1
    try:
        result = await ending
        code, failure = result.exit_code, result.error
    except LodgeError as error:
        failure = error.message
    answer: dict[str, Any] = {"StatusCode": code}
    if failure:
        answer["Error"] = {"Message": failure}
    if stream is None:
        call.reply(answer)
        return
    await stream.write(encode(answer) + b"\n")
    stream.end()


async def rename(call: Call) -> None:
    """POST /containers/{name}/rename."""
    new_name = call.form.text("name")
    if not new_name.removeprefix("/"):
        raise InvalidArgument("Neither old nor new names may be empty")
    await call.backend.containers.rename(call.name, new_name)
    call.done()


async def update(call: Call) -> None:
    """POST /containers/{name}/update."""
    data = await call.body()
    value = bodies.parse(data) if data else {}
    wanted = bodies.convert(value, Update)
    given = bodies.normalise(value, Update)
    restart_policy = wanted.restart_policy
    if restart_policy is not None and not restart_policy.name:
        restart_policy = None
    limits: dict[str, Any] = msgspec.to_builtins(wanted)
    limits = {name: limits[name] for name in given if name not in _NO_LIMITS}
    if call.version < 55:
        limits = {name: value for name, value in limits.items() if name not in _DEVICE_RATES}
    if call.version < 40:
        limits.pop("PidsLimit", None)
    if limits.get("PidsLimit") is not None and limits["PidsLimit"] <= 0:
        limits["PidsLimit"] = 0
    # clients in Go send every member; zero means "leave it" in all of them but those that may be null
    limits = {
        name: value for name, value in limits.items() if value or name in ("PidsLimit", "OomKillDisable")
    }
    network = None
    if wanted.port_bindings is not None or wanted.annotations:
        network = NetworkChange(port_bindings=wanted.port_bindings, annotations=wanted.annotations)
    warnings = await call.backend.containers.update(call.name, limits, restart_policy, network)
    call.reply({"Warnings": warnings or None})


async def remove(call: Call) -> None:
    """DELETE /containers/{name}."""
    form = call.form
    await call.backend.containers.remove(
        call.name, force=form.flag("force"), volumes=form.flag("v"), link=form.flag("link")
    )
    call.done()


async def prune(call: Call) -> None:
    """POST /containers/prune."""
    pruned = await call.backend.containers.prune(call.form.filters())
    call.reply({"ContainersDeleted": pruned.deleted or None, "SpaceReclaimed": pruned.reclaimed})


async def commit(call: Call) -> None:
    """POST /commit."""
    form = call.form
    data = await call.body()
    value = bodies.parse(data) if data else None
    config: dict[str, Any] | None = None
    if value:
        bodies.convert(value, ContainerConfig)
        config = bodies.normalise(value, ContainerConfig)
    image_id = await call.backend.containers.commit(
        form.text("container"),
        reference=tagged(form.text("repo"), form.text("tag")),
        comment=form.text("comment"),
        author=form.text("author"),
        pause=form.flag("pause", True),
        changes=form.texts("changes"),
        config=config,
    )
    call.reply({"Id": image_id}, 201)


def tagged(repository: str, tag: str) -> str | None:
    """A name for a new image out of two parameters; None without a repository, or InvalidArgument."""
    if not repository:
        return None
    name = Reference.parse_name(repository)
    if name.digest is not None:
        raise InvalidArgument("cannot import digest reference")
    return (name.with_tag(tag) if tag else Reference.parse(repository)).familiar()
