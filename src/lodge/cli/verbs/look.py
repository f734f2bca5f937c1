"""Looking into a container: `top`, `diff` and `port`."""

from __future__ import annotations

import sys

from lodge.cli.command import ANY, Command
from lodge.client.engine import quote
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.command import Context
    from lodge.cli.flags import Values

_CHANGES = ("C", "A", "D")


def _top(ctx: Context, _values: Values, arguments: list[str]) -> None:
    from lodge.cli.table import align

    query = {"ps_args": " ".join(arguments[1:]) or None}
    found = ctx.engine.call("GET", f"/containers/{quote(arguments[0])}/top", query=query)
    lines = ["\t".join(found["Titles"]), *("\t".join(row) for row in found["Processes"] or ())]
    sys.stdout.write(align(lines, least=20, gap=3))


def _diff(ctx: Context, _values: Values, arguments: list[str]) -> None:
    if not arguments[0].strip():
        raise InvalidArgument("Container name cannot be empty")
    for change in ctx.engine.call("GET", f"/containers/{quote(arguments[0])}/changes") or ():
        ctx.out(f"{_CHANGES[change['Kind']]} {change['Path']}")


def _port(ctx: Context, _values: Values, arguments: list[str]) -> None:
    found = ctx.engine.call("GET", f"/containers/{quote(arguments[0])}/json")
    ports = (found.get("NetworkSettings") or {}).get("Ports") or {}
    if len(arguments) == 1:
        lines = [(port, binding) for port, bindings in ports.items() for binding in bindings or ()]
        for port, binding in sorted(lines, key=lambda line: (int(line[0].partition("/")[0]), line[0])):
            ctx.out(f"{port} -> {_place(binding)}")
        return
    wanted = arguments[1] if "/" in arguments[1] else f"{arguments[1]}/tcp"
    bindings = ports.get(wanted)
    if not bindings:
        raise InvalidArgument(f"Error: No public port '{arguments[1]}' published for {arguments[0]}")
    for binding in bindings:
        ctx.out(_place(binding))


def _place(binding: dict[str, str]) -> str:
    address = binding["HostIp"]
    return f"[{address}]:{binding['HostPort']}" if ":" in address else f"{address}:{binding['HostPort']}"


TOP = Command(
    "CONTAINER [ps OPTIONS]",
    "Display the running processes of a container",
    _top,
    minimum=1,
    maximum=ANY,
    mixed=False,
    complete="container",
)
DIFF = Command(
    "CONTAINER",
    "Show what a container changed in its file system",
    _diff,
    minimum=1,
    maximum=1,
    complete="container",
)
PORT = Command(
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List port mappings or a specific mapping for the container",
    _port,
    minimum=1,
    maximum=2,
    complete="container",
)
