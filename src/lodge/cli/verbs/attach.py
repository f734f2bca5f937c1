"""`attach`: connect the terminal to a container that runs."""

from __future__ import annotations

from lodge.cli.command import Command, Failure
from lodge.cli.flags import BOOL, STRING, Flag
from lodge.client.engine import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.command import Context
    from lodge.cli.flags import Values


def _attach(ctx: Context, values: Values, arguments: list[str]) -> int:
    from lodge.cli.session import Session, check_terminal, detach_keys
    from lodge.cli.waiting import finish_wait

    found = ctx.engine.call("GET", f"/containers/{quote(arguments[0])}/json")
    container, config, state = found["Id"], found["Config"], found["State"]
    for condition, problem in (
        (not state.get("Running"), "You cannot attach to a stopped container, start it first"),
        (state.get("Paused"), "You cannot attach to a paused container, unpause it first"),
        (state.get("Restarting"), "You cannot attach to a restarting container, wait until it is running"),
    ):
        if condition:
            raise Failure(problem)
    stdin = bool(config.get("OpenStdin")) and not values["no-stdin"]
    tty = bool(config.get("Tty"))
    check_terminal(stdin, tty)
    keys = detach_keys(ctx, values) if tty else ""
    path = f"/containers/{container}"
    with Session(
        ctx,
        tty=tty,
        stdin=stdin,
        keys=keys,
        resize_path=f"{path}/resize",
        kill_path=f"{path}/kill" if values["sig-proxy"] and not tty else None,
    ) as session:
        ending = ctx.engine.open("POST", f"{path}/wait")
        query = {"stream": True, "stdin": stdin, "stdout": True, "stderr": True, "detachKeys": keys or None}
        stream = ctx.engine.hijack(f"{path}/attach", query=query)
        session.resize(redraw=True)
        if session.stream(stream):
            raise Failure("read escape sequence")
    return finish_wait(ctx, container, ending)


ATTACH = Command(
    "[OPTIONS] CONTAINER",
    "Attach local standard input, output, and error streams to a running container",
    _attach,
    flags=(
        Flag("detach-keys", STRING, "The keys that detach from it"),
        Flag("no-stdin", BOOL, "Do not attach stdin"),
        Flag("sig-proxy", BOOL, "Pass signals on to the program", default=True),
    ),
    minimum=1,
    maximum=1,
    complete="container",
)
