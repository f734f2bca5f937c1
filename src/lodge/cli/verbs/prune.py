"""The prune verbs: remove what nobody uses, after a question."""

from __future__ import annotations

import sys

from lodge.cli.command import Command, Failure
from lodge.cli.filters import encode_filters
from lodge.cli.flags import BOOL, BYTES, FILTER, Flag
from lodge.cli.human import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodge.cli.command import Context
    from lodge.cli.flags import Values

_CONTAINERS = "This will remove all stopped containers."
_NETWORKS = "This will remove all custom networks not used by at least one container."
_VOLUMES = {
    False: "This will remove anonymous local volumes not used by at least one container.",
    True: "This will remove all local volumes not used by at least one container.",
}
_CACHE = {
    False: "This will remove all dangling build cache.",
    True: "This will remove all build cache.",
}
_IMAGES = {
    False: "This will remove all dangling images.",
    True: "This will remove all images without at least one container associated to them.",
}


def confirm(values: Values, verb: str, warning: str) -> None:
    """Ask before something is removed, unless --force was given; a no ends the command."""
    if values["force"]:
        return
    sys.stdout.write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failure(f"{verb} prune has been cancelled")


def _filters(values: Values, **more: str) -> str | None:
    return encode_filters([*values["filter"], *more.items()])


def _report(ctx: Context, title: str, names: list[str] | None, space: int | None) -> None:
    if names:
        ctx.out(f"{title}:\n" + "\n".join(names) + "\n")
    if space is not None:
        ctx.out(f"Total reclaimed space: {size(space)}")


def _containers(ctx: Context, values: Values, _arguments: list[str]) -> None:
    confirm(values, "container", _CONTAINERS)
    answer = ctx.engine.call("POST", "/containers/prune", query={"filters": _filters(values)})
    _report(ctx, "Deleted Containers", answer.get("ContainersDeleted"), answer["SpaceReclaimed"])


def _images(ctx: Context, values: Values, _arguments: list[str]) -> None:
    confirm(values, "image", _IMAGES[values["all"]])
    filters = _filters(values, dangling="false" if values["all"] else "true")
    answer = ctx.engine.call("POST", "/images/prune", query={"filters": filters})
    _report(ctx, "Deleted Images", _deeds(answer), answer["SpaceReclaimed"])


def _deeds(answer: dict[str, Any]) -> list[str]:
    return [
        f"untagged: {deed['Untagged']}" if deed.get("Untagged") else f"deleted: {deed['Deleted']}"
        for deed in answer.get("ImagesDeleted") or ()
    ]


def _volumes(ctx: Context, values: Values, _arguments: list[str]) -> None:
    confirm(values, "volume", _VOLUMES[values["all"]])
    filters = _filters(values, all="true") if values["all"] else _filters(values)
    answer = ctx.engine.call("POST", "/volumes/prune", query={"filters": filters})
    _report(ctx, "Deleted Volumes", answer.get("VolumesDeleted"), answer["SpaceReclaimed"])


def _networks(ctx: Context, values: Values, _arguments: list[str]) -> None:
    confirm(values, "network", _NETWORKS)
    answer = ctx.engine.call("POST", "/networks/prune", query={"filters": _filters(values)})
    _report(ctx, "Deleted Networks", answer.get("NetworksDeleted"), None)


def _builder(ctx: Context, values: Values, _arguments: list[str]) -> None:
    confirm(values, "builder", _CACHE[values["all"]])
    query = {
        "all": values["all"],
        "filters": _filters(values),
        "reserved-space": values["reserved-space"] or values["keep-storage"] or None,
        "max-used-space": values["max-used-space"] or None,
    }
    answer = ctx.engine.call("POST", "/build/prune", query=query)
    _report(ctx, "Deleted build cache objects", answer.get("CachesDeleted"), answer["SpaceReclaimed"])


def _system(ctx: Context, values: Values, _arguments: list[str]) -> None:
    """Containers, networks, volumes when asked, then images, each by its own endpoint."""
    everything, volumes = values["all"], values["volumes"]
    doomed = ["all stopped containers", "all networks not used by at least one container"]
    if volumes:
        doomed.append("all anonymous volumes not used by at least one container")
    without = "all images without at least one container associated to them"
    doomed.append(without if everything else "all dangling images")
    confirm(values, "system", "This will remove:\n" + "".join(f"  - {what}\n" for what in doomed))
    filters = _filters(values)
    space = 0
    for path, title, key in (
        ("/containers/prune", "Deleted Containers", "ContainersDeleted"),
        ("/networks/prune", "Deleted Networks", "NetworksDeleted"),
        ("/volumes/prune", "Deleted Volumes", "VolumesDeleted"),
    ):
        if path == "/volumes/prune" and not volumes:
            continue
        answer = ctx.engine.call("POST", path, query={"filters": filters})
        _report(ctx, title, answer.get(key), None)
        space += answer.get("SpaceReclaimed", 0)
    query = {"filters": _filters(values, dangling="false" if everything else "true")}
    answer = ctx.engine.call("POST", "/images/prune", query=query)
    _report(ctx, "Deleted Images", _deeds(answer), space + answer["SpaceReclaimed"])


_FORCE = Flag("force", BOOL, "Do not ask", short="f")
_FILTER = Flag("filter", FILTER, "Remove only those with name=value")

CONTAINER_PRUNE = Command("[OPTIONS]", "Remove all stopped containers", _containers, flags=(_FORCE, _FILTER))
IMAGE_PRUNE = Command(
    "[OPTIONS]",
    "Remove unused images",
    _images,
    flags=(Flag("all", BOOL, "Also those that have a name but no container", short="a"), _FORCE, _FILTER),
)
VOLUME_PRUNE = Command(
    "[OPTIONS]",
    "Remove unused local volumes",
    _volumes,
    flags=(Flag("all", BOOL, "Also those that have a name", short="a"), _FORCE, _FILTER),
)
BUILDER_PRUNE = Command(
    "[OPTIONS]",
    "Remove the build cache",
    _builder,
    flags=(
        Flag("all", BOOL, "Also what images use too, and caches of mounts", short="a"),
        Flag("keep-storage", BYTES, "", hidden=True),
        Flag("max-used-space", BYTES, "How much may stay"),
        Flag("reserved-space", BYTES, "How much stays in any case"),
        _FORCE,
        _FILTER,
    ),
)
NETWORK_PRUNE = Command("[OPTIONS]", "Remove all unused networks", _networks, flags=(_FORCE, _FILTER))
SYSTEM_PRUNE = Command(
    "[OPTIONS]",
    "Remove unused data",
    _system,
    flags=(
        Flag("all", BOOL, "Also images that have a name but no container", short="a"),
        Flag("volumes", BOOL, "Also anonymous volumes"),
        _FORCE,
        _FILTER,
    ),
)
