"""`start`: start containers that exist, and attach to one of them when asked."""

from __future__ import annotations

from lodge.cli.command import ANY, Command, Failure, failures_of
from lodge.cli.flags import BOOL, STRING, Flag
from lodge.client.engine import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.command import Context
    from lodge.cli.flags import Values

_NO_CHECKPOINTS = "checkpoints are not supported"


def _start(ctx: Context, values: Values, names: list[str]) -> int:
    if values["attach"] or values["interactive"]:
        if len(names) > 1:
            raise Failure("you cannot start and attach multiple containers at once")
        return _start_attached(ctx, values, names[0])

    def one(name: str) -> str:
        ctx.engine.call("POST", f"/containers/{quote(name)}/start")
        return name

    failed = failures_of(ctx, names, one)
    if failed:
        raise Failure("Error: failed to start containers: " + ", ".join(failed))
    return 0


def _start_attached(ctx: Context, values: Values, name: str) -> int:
    from lodge.cli.session import Session, check_terminal, detach_keys
    from lodge.cli.waiting import finish_wait

    found = ctx.engine.call("GET", f"/containers/{quote(name)}/json")
    container, config = found["Id"], found["Config"]
    stdin = bool(values["interactive"] and config.get("OpenStdin"))
    tty = bool(config.get("Tty"))
    check_terminal(stdin, tty)
    keys = detach_keys(ctx, values) if tty else ""
    path = f"/containers/{container}"
    removed = found.get("HostConfig", {}).get("AutoRemove")
    with Session(
        ctx,
        tty=tty,
        stdin=stdin,
        keys=keys,
        resize_path=f"{path}/resize",
        kill_path=f"{path}/kill" if values["attach"] and not tty else None,
    ) as session:
        query = {"stream": True, "stdin": stdin, "stdout": True, "stderr": True, "detachKeys": keys or None}
        stream = ctx.engine.hijack(f"{path}/attach", query=query)
        condition = "removed" if removed else "next-exit"
        ending = ctx.engine.open("POST", f"{path}/wait", query={"condition": condition})
        ctx.engine.call("POST", f"{path}/start")
        session.resize()
        if session.stream(stream):
            return 0
    return finish_wait(ctx, container, ending)


START = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    _start,
    flags=(
        Flag("attach", BOOL, "Attach to its output and pass signals on", short="a"),
        Flag("interactive", BOOL, "Attach to its stdin", short="i"),
        Flag("detach-keys", STRING, "The keys that detach from it"),
        Flag("checkpoint", STRING, "", hidden=True, refuses=_NO_CHECKPOINTS),
        Flag("checkpoint-dir", STRING, "", hidden=True, refuses=_NO_CHECKPOINTS),
    ),
    minimum=1,
    maximum=ANY,
    complete="container",
)
