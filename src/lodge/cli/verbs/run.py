"""`run` and `create`: the verbs that make containers.

`run` asks five things of the engine: create, attach, wait, start and, at a terminal, resize. The wait begins
before the start, so the exit code of a program that ends at once is never missed.
"""

from __future__ import annotations

import os

from lodge.cli.command import ANY, Command, Failure
from lodge.cli.container_flags import CREATE_FLAGS
from lodge.cli.flags import BOOL, STRING, Flag, UsageError
from lodge.cli.settings.container import creation_body
from lodge.client.failures import Refused, RefusedNotFound
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodge.cli.command import Context
    from lodge.cli.flags import Values
    from lodge.client.http1 import Response

_REMOVAL_PATIENCE = 5000
"""Milliseconds."""

RUN_FLAGS = (
    *CREATE_FLAGS,
    Flag("detach", BOOL, "Let it run in the background and print its ID", short="d"),
    Flag("detach-keys", STRING, "The keys that detach from it"),
    Flag("sig-proxy", BOOL, "Pass signals on to the program", default=True),
)


def _create_verb(ctx: Context, values: Values, arguments: list[str]) -> None:
    ctx.out(_create(ctx, values, arguments, _body(ctx, values, arguments, detach=False)))


def _run_verb(ctx: Context, values: Values, arguments: list[str]) -> int:
    detach = values["detach"]
    body = _body(ctx, values, arguments, detach=detach)
    if detach:
        container = _create(ctx, values, arguments, body)
        _start(ctx, container)
        ctx.out(container)
        return 0
    if body["AttachStdin"] and body["Tty"]:
        from lodge.cli.session import check_terminal

        check_terminal(True, True)
    return _run_attached(ctx, values, body, _create(ctx, values, arguments, body))


def _body(ctx: Context, values: Values, arguments: list[str], *, detach: bool) -> dict[str, Any]:
    if not values["disable-content-trust"]:
        raise UsageError("--disable-content-trust=false: Lodge does not verify Docker's content trust")
    if values["pull"] not in ("always", "missing", "never"):
        raise InvalidArgument(
            f'invalid pull option: \'{values["pull"]}\': must be one of "always", "missing" or "never"'
        )
    body = creation_body(values, arguments[0], arguments[1:], ctx.environ, detach=detach)
    if "proxies" in ctx.config():
        from lodge.cli.settings.environment import proxy_variables

        variables = body.setdefault("Env", [])
        variables += proxy_variables(ctx.config(), ctx.address.text, variables)
    if body["Tty"]:
        from lodge.cli.terminal import size

        if found := size():
            body["HostConfig"]["ConsoleSize"] = list(found)
    return body


def _create(ctx: Context, values: Values, arguments: list[str], body: dict[str, Any]) -> str:
    image = arguments[0]
    cidfile = _reserve(values["cidfile"])
    try:
        container = _create_with_image(ctx, values, image, body)
    except BaseException:
        if cidfile is not None:
            os.close(cidfile)
            os.unlink(values["cidfile"])
        raise
    if cidfile is not None:
        os.write(cidfile, container.encode())
        os.close(cidfile)
    return container


def _create_with_image(ctx: Context, values: Values, image: str, body: dict[str, Any]) -> str:
    from lodge.cli.images import fetch_image, missing_image_hint

    query = {"name": values["name"] or None, "platform": values["platform"] or None}
    if values["pull"] == "always":
        fetch_image(ctx, image, values["platform"], quiet=values["quiet"])
    try:
        answer = ctx.engine.call("POST", "/containers/create", query=query, json=body)
    except RefusedNotFound as error:
        if "no such image" not in error.message.lower():
            raise
        if values["pull"] != "missing":
            error.hint = missing_image_hint(image)
            raise
        ctx.err(f"Unable to find image '{image if _is_tagged(image) else image + ':latest'}' locally")
        fetch_image(ctx, image, values["platform"], quiet=values["quiet"])
        answer = ctx.engine.call("POST", "/containers/create", query=query, json=body)
    for warning in answer.get("Warnings") or ():
        ctx.err(f"WARNING: {warning}")
    return str(answer["Id"])


def _is_tagged(image: str) -> bool:
    return ":" in image.rpartition("/")[2] or "@" in image


def _reserve(path: str) -> int | None:
    """Make the file for the container's ID before there is a container, so that none is made in vain."""
    if not path:
        return None
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        raise Failure(
            "lodge: container ID file found, make sure the other container isn't running or delete"
            f" {path}\n\nRun 'lodge run --help' for more information",
            125,
        ) from None
    except OSError as error:
        raise Failure(
            f"lodge: failed to create the container ID file: open {path}: {(error.strerror or '').lower()}"
            "\n\nRun 'lodge run --help' for more information",
            125,
        ) from error


def _start(ctx: Context, container: str) -> None:
    """Start it; a refusal becomes the exit code that tells what was wrong with the program."""
    try:
        ctx.engine.call("POST", f"/containers/{container}/start")
    except Refused as error:
        raise Failure(
            f"lodge: Error response from daemon: {error.message}"
            "\n\nRun 'lodge run --help' for more information",
            start_exit_code(error.message),
        ) from error


def start_exit_code(message: str) -> int:
    """127 where the program was not found, 126 where it may not be executed, else 125."""
    if "executable file not found" in message or "no such file or directory" in message:
        return 127
    if "permission denied" in message or "is a directory" in message:
        return 126
    return 125


def _run_attached(ctx: Context, values: Values, body: dict[str, Any], container: str) -> int:
    from lodge.cli.session import Session, detach_keys

    keys = detach_keys(ctx, values) if body["Tty"] else ""
    path = f"/containers/{container}"
    with Session(
        ctx,
        tty=body["Tty"],
        stdin=body["AttachStdin"],
        stdout=body["AttachStdout"],
        stderr=body["AttachStderr"],
        keys=keys,
        resize_path=f"{path}/resize",
        kill_path=f"{path}/kill" if values["sig-proxy"] else None,
    ) as session:
        stream = ctx.engine.hijack(
            f"{path}/attach",
            query={
                "stream": True,
                "stdin": body["AttachStdin"],
                "stdout": body["AttachStdout"],
                "stderr": body["AttachStderr"],
                "detachKeys": keys or None,
            },
        )
        condition = "removed" if values["rm"] else "next-exit"
        ending = ctx.engine.open("POST", f"{path}/wait", query={"condition": condition})
        try:
            _start(ctx, container)
        except Failure:
            stream.stream.close()
            if values["rm"]:
                _await_removal(ending)
            ending.stream.close()
            raise
        session.resize()
        if session.stream(stream):
            return 0
    return _exit_code(ctx, container, ending)


def _await_removal(ending: Response) -> None:
    """A container that could not start is removed too; its name should be free when the command ends."""
    import select

    poll = select.poll()
    poll.register(ending.stream.fileno(), select.POLLIN)
    if not ending.pending:
        poll.poll(_REMOVAL_PATIENCE)


def _exit_code(ctx: Context, container: str, ending: Response) -> int:
    from lodge.cli.waiting import finish_wait

    return finish_wait(ctx, container, ending)


RUN = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    _run_verb,
    flags=RUN_FLAGS,
    minimum=1,
    maximum=ANY,
    mixed=False,
    error_code=125,
    complete="image",
)
CREATE = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    _create_verb,
    flags=CREATE_FLAGS,
    minimum=1,
    maximum=ANY,
    mixed=False,
    error_code=125,
    complete="image",
)
