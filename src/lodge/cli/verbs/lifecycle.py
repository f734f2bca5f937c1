"""The verbs that change containers which exist: stop, kill, restart, pause, rename, rm, update, wait."""

from __future__ import annotations

from lodge.cli.command import ANY, Command, for_each
from lodge.cli.container_flags import BLOCK_LIMITS, CPU_LIMITS, MEMORY_LIMITS, PIDS_LIMIT
from lodge.cli.flags import BOOL, BYTES, INT, LIST, STRING, Flag
from lodge.client.engine import quote
from lodge.client.failures import RefusedNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.command import Action, Context
    from lodge.cli.flags import Values


def _end(verb: str) -> Action:
    def act(ctx: Context, values: Values, names: list[str]) -> int:
        query = {"signal": values["signal"] or None}
        if "timeout" in values:
            query["t"] = values["timeout"]

        def one(name: str) -> str:
            ctx.engine.call("POST", f"/containers/{quote(name)}/{verb}", query=query)
            return name

        return for_each(ctx, names, one)

    return act


def _simple(verb: str) -> Action:
    def act(ctx: Context, _values: Values, names: list[str]) -> int:
        def one(name: str) -> str:
            ctx.engine.call("POST", f"/containers/{quote(name)}/{verb}")
            return name

        return for_each(ctx, names, one)

    return act


def _kill(ctx: Context, values: Values, names: list[str]) -> int:
    def one(name: str) -> str:
        ctx.engine.call("POST", f"/containers/{quote(name)}/kill", query={"signal": values["signal"] or None})
        return name

    return for_each(ctx, names, one)


def _rename(ctx: Context, _values: Values, arguments: list[str]) -> None:
    old, new = arguments[0].strip(), arguments[1].strip()
    ctx.engine.call("POST", f"/containers/{quote(old)}/rename", query={"name": new})


def _rm(ctx: Context, values: Values, names: list[str]) -> int:
    query = {"v": values["volumes"], "link": values["link"], "force": values["force"]}

    def one(name: str) -> str | None:
        try:
            ctx.engine.call("DELETE", f"/containers/{quote(name.strip('/') or name)}", query=query)
        except RefusedNotFound as error:
            if not values["force"]:
                raise
            ctx.err(f"Error response from daemon: {error.message}")  # it is as wished: no failure
            return None
        return name

    return for_each(ctx, names, one)


def _wait(ctx: Context, _values: Values, names: list[str]) -> int:
    def one(name: str) -> str:
        answer = ctx.engine.call("POST", f"/containers/{quote(name)}/wait")
        return str(answer["StatusCode"])

    return for_each(ctx, names, one)


def _update(ctx: Context, values: Values, names: list[str]) -> int:
    from lodge.cli.settings.limits import resources
    from lodge.cli.settings.policies import restart_policy

    body = resources(values)
    if values["restart"]:
        body["RestartPolicy"] = restart_policy(values["restart"])
    if "network-rate" in values:
        from lodge.cli.settings.networks import rates

        body["Annotations"] = rates(values["network-rate"])
    ports = "publish-add" in values or "publish-rm" in values
    if not body and not ports:
        from lodge.errors import InvalidArgument

        raise InvalidArgument("you must provide one or more flags when using this command")

    def one(name: str) -> str:
        if ports:
            from lodge.cli.settings.ports import changed_ports

            found = ctx.engine.call("GET", f"/containers/{quote(name)}/json")
            bindings = found["HostConfig"].get("PortBindings") or {}
            body["PortBindings"] = changed_ports(bindings, values["publish-add"], values["publish-rm"])
        answer = ctx.engine.call("POST", f"/containers/{quote(name)}/update", json=body)
        for warning in (answer or {}).get("Warnings") or ():
            ctx.err(warning)
        return name

    return for_each(ctx, names, one)


_MANY = "CONTAINER [CONTAINER...]"
_END_FLAGS = (
    Flag("signal", STRING, "The signal to send first", short="s"),
    Flag("timeout", INT, "Seconds until SIGKILL, -1 for never", short="t"),
    Flag("time", INT, "", hidden=True, alias_of="timeout"),
)


def _verb(summary: str, action: Action, usage: str = _MANY, *flags: Flag, count: int = ANY) -> Command:
    usage = f"[OPTIONS] {usage}" if flags else usage
    minimum = count if count != ANY else 1
    return Command(usage, summary, action, flags=flags, minimum=minimum, maximum=count, complete="container")


STOP = _verb("Stop one or more running containers", _end("stop"), _MANY, *_END_FLAGS)
RESTART = _verb("Restart one or more containers", _end("restart"), _MANY, *_END_FLAGS)
PAUSE = _verb("Pause all processes within one or more containers", _simple("pause"))
UNPAUSE = _verb("Let paused containers go on", _simple("unpause"))
KILL = _verb(
    "Kill one or more running containers",
    _kill,
    _MANY,
    Flag("signal", STRING, "The signal to send", short="s"),
)
RENAME = _verb("Rename a container", _rename, "CONTAINER NEW_NAME", count=2)
RM = _verb(
    "Remove one or more containers",
    _rm,
    _MANY,
    Flag("force", BOOL, "Kill and remove a running container too", short="f"),
    Flag("link", BOOL, "Remove this link", short="l"),
    Flag("volumes", BOOL, "Remove its anonymous volumes too", short="v"),
)
WAIT = _verb("Wait until containers end, then print their exit codes", _wait)
UPDATE = _verb(
    "Change limits, restart policy and published ports of containers",
    _update,
    _MANY,
    *CPU_LIMITS,
    *MEMORY_LIMITS,
    *BLOCK_LIMITS,
    *PIDS_LIMIT,
    Flag("restart", STRING, "What to do when it ends"),
    Flag("publish-add", LIST, "Publish a further port while it runs, as -p of run"),
    Flag("publish-rm", LIST, "Publish a port no more, as [[address:]port:]port[/protocol]"),
    Flag("network-rate", STRING, "Limit its network, as egress=10mbit,ingress=5mbit; 0 for no limit"),
    Flag("kernel-memory", BYTES, "", hidden=True, refuses="Linux has no kernel memory limit any more"),
)
