"""Volumes: `volume create`, `ls` and `rm`."""

from __future__ import annotations

from lodge.cli.command import ANY, Command, Failure, for_each
from lodge.cli.filters import encode_filters
from lodge.cli.flags import BOOL, FILTER, LIST, MAP, STRING, Flag
from lodge.cli.settings.environment import pairs
from lodge.cli.settings.kinds import LABEL
from lodge.client.engine import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lodge.cli.command import Context
    from lodge.cli.flags import Values


def _create(ctx: Context, values: Values, arguments: list[str]) -> None:
    if arguments and values["name"]:
        raise Failure(
            "conflicting options: cannot specify a volume-name through both --name and as a positional arg"
        )
    body = {
        "Name": arguments[0] if arguments else values["name"],
        "Driver": values["driver"],
        "DriverOpts": pairs(values["opt"]),
        "Labels": pairs(values["label"]),
    }
    ctx.out(ctx.engine.call("POST", "/volumes/create", json=body)["Name"])


def _ls(ctx: Context, values: Values, _arguments: list[str]) -> None:
    answer = ctx.engine.call("GET", "/volumes", query={"filters": encode_filters(values["filter"])})
    for warning in answer.get("Warnings") or ():
        ctx.err(f"WARNING: {warning}")
    volumes = sorted(answer.get("Volumes") or (), key=lambda volume: str(volume["Name"]))
    if values["quiet"] and not values["format"]:
        for volume in volumes:
            ctx.out(volume["Name"])
        return
    from lodge.cli.formatting import print_list

    layout = values["format"] or ctx.config().get("volumesFormat") or ""
    print_list(layout, volumes, _COLUMNS, ("Driver", "Name"))


def _labels(volume: dict[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted((volume.get("Labels") or {}).items()))


def _size(volume: dict[str, Any]) -> str:
    from lodge.cli.human import size

    used = (volume.get("UsageData") or {}).get("Size", -1)
    return "N/A" if used < 0 else size(used)


def _links(volume: dict[str, Any]) -> str:
    count = (volume.get("UsageData") or {}).get("RefCount", -1)
    return "N/A" if count < 0 else str(count)


_COLUMNS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "Availability": ("AVAILABILITY", lambda _volume: "N/A"),
    "Driver": ("DRIVER", lambda volume: volume["Driver"]),
    "Group": ("GROUP", lambda _volume: "N/A"),
    "Label": ("LABEL", lambda volume: lambda name: (volume.get("Labels") or {}).get(name, "")),
    "Labels": ("LABELS", _labels),
    "Links": ("LINKS", _links),
    "Mountpoint": ("MOUNTPOINT", lambda volume: volume["Mountpoint"]),
    "Name": ("VOLUME NAME", lambda volume: volume["Name"]),
    "Scope": ("SCOPE", lambda volume: volume["Scope"]),
    "Size": ("SIZE", _size),
    "Status": ("STATUS", lambda _volume: "N/A"),
}


def _rm(ctx: Context, values: Values, names: list[str]) -> int:
    def one(name: str) -> str:
        ctx.engine.call("DELETE", f"/volumes/{quote(name)}", query={"force": values["force"]})
        return name

    return for_each(ctx, names, one)


_SWARM = "only a swarm has this"
_CLUSTER_FLAGS = (
    "availability",
    "group",
    "limit-bytes",
    "required-bytes",
    "scope",
    "secret",
    "sharing",
    "topology-preferred",
    "topology-required",
    "type",
)

CREATE = Command(
    "[OPTIONS] [VOLUME]",
    "Create a volume",
    _create,
    flags=(
        Flag("driver", STRING, "The driver that keeps it", short="d", default="local"),
        Flag("label", LABEL, "A label, as name=value"),
        Flag("opt", MAP, "An option of the driver, as name=value", short="o"),
        Flag("name", STRING, "", hidden=True),
        *(Flag(name, LIST, "", hidden=True, refuses=_SWARM) for name in _CLUSTER_FLAGS),
    ),
    maximum=1,
)
LS = Command(
    "[OPTIONS]",
    "List volumes",
    _ls,
    flags=(
        Flag("cluster", BOOL, "", hidden=True, refuses=_SWARM),
        Flag("filter", FILTER, "Show only those with name=value", short="f"),
        Flag("format", STRING, "Print by a Go template, as json, or as a table of your own"),
        Flag("quiet", BOOL, "Print names only", short="q"),
    ),
)
RM = Command(
    "[OPTIONS] VOLUME [VOLUME...]",
    "Remove one or more volumes",
    _rm,
    flags=(Flag("force", BOOL, "It is no failure when there is none", short="f"),),
    minimum=1,
    maximum=ANY,
    complete="volume",
)
