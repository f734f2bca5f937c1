"""`exec`: a further program in a running container, attached or not."""

from __future__ import annotations

from lodge.cli.command import ANY, Command, Failure
from lodge.cli.flags import BOOL, LIST, STRING, Flag
from lodge.cli.settings import kinds
from lodge.client.engine import quote
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodge.cli.command import Context
    from lodge.cli.flags import Values

FLAGS = (
    Flag("detach", BOOL, "Let it run in the background", short="d"),
    Flag("detach-keys", STRING, "The keys that detach from it"),
    Flag("env", kinds.ENV, "A variable, as NAME=value, or NAME to pass one on", short="e"),
    Flag("env-file", LIST, "A file of variables, one a line"),
    Flag("interactive", BOOL, "Keep stdin open, attached or not", short="i"),
    Flag("privileged", BOOL, "Give it all capabilities"),
    Flag("tty", BOOL, "Give it a terminal", short="t"),
    Flag("user", STRING, "Who runs it: name or uid, and :group or :gid", short="u"),
    Flag("workdir", STRING, "The directory that it starts in", short="w"),
)


def _exec(ctx: Context, values: Values, arguments: list[str]) -> int:
    container, command = arguments[0], arguments[1:]
    tty, detach = values["tty"], values["detach"]
    attach_stdin = values["interactive"] and not detach
    if attach_stdin and tty:
        from lodge.cli.session import check_terminal

        check_terminal(True, True)
    keys = ""
    if tty and not detach:
        from lodge.cli.session import detach_keys

        keys = detach_keys(ctx, values)
    body = exec_body(ctx, values, command, keys)
    created = ctx.engine.call("POST", f"/containers/{quote(container)}/exec", json=body)
    path = f"/exec/{created['Id']}"
    if detach:
        ctx.engine.call("POST", f"{path}/start", json={"Detach": True, "Tty": tty})
        return 0
    return _attached(ctx, path, tty=tty, stdin=attach_stdin, keys=keys)


def exec_body(ctx: Context, values: Values, command: list[str], keys: str) -> dict[str, Any]:
    """The body of POST /containers/{id}/exec."""
    if not command[0]:
        raise InvalidArgument("exec command cannot be empty")
    detach = values["detach"]
    body: dict[str, Any] = {
        "Cmd": command,
        "Tty": values["tty"],
        "AttachStdin": values["interactive"] and not detach,
        "AttachStdout": not detach,
        "AttachStderr": not detach,
    }
    for flag, field in (("user", "User"), ("workdir", "WorkingDir"), ("privileged", "Privileged")):
        if flag in values:
            body[field] = values[flag]
    if detach:
        body["Detach"] = True
    if keys:
        body["DetachKeys"] = keys
    if "env" in values or "env-file" in values:
        from lodge.cli.settings.environment import variables

        body["Env"] = variables(values["env-file"], values["env"], ctx.environ)
    if values["tty"]:
        from lodge.cli.terminal import size

        if found := size():
            body["ConsoleSize"] = list(found)
    return body


def _attached(ctx: Context, path: str, *, tty: bool, stdin: bool, keys: str) -> int:
    from lodge.cli.session import Session

    start: dict[str, Any] = {"Detach": False, "Tty": tty}
    if tty:
        from lodge.cli.terminal import size

        if found := size():
            start["ConsoleSize"] = list(found)
    with Session(ctx, tty=tty, stdin=stdin, keys=keys, resize_path=f"{path}/resize") as session:
        stream = ctx.engine.hijack(f"{path}/start", json=start)
        session.resize()
        if session.stream(stream):
            raise Failure("read escape sequence")
    return int(ctx.engine.call("GET", f"{path}/json").get("ExitCode") or 0)


EXEC = Command(
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    _exec,
    flags=FLAGS,
    minimum=2,
    maximum=ANY,
    mixed=False,
    complete="container",
)
