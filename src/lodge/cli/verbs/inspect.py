"""`inspect`: everything the engine knows of an object, as JSON or by a template."""

from __future__ import annotations

import sys

from lodge.cli.command import ANY, Command
from lodge.cli.flags import BOOL, STRING, Flag
from lodge.client.engine import quote
from lodge.client.failures import RefusedNotFound
from lodge.errors import InvalidArgument, LodgeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lodge.cli.command import Action, Context
    from lodge.cli.flags import Values

    Find = Callable[[Context, str, Values], Any]

_PATHS = {
    "container": "/containers/{}/json",
    "image": "/images/{}/json",
    "volume": "/volumes/{}",
    "network": "/networks/{}",
    "secret": "/lodge/secrets/{}",
}
_SWARM = ("node", "service", "config", "plugin", "task")


def _find(kind: str, ctx: Context, name: str, values: Values) -> Any:
    query: dict[str, Any] = {}
    if kind == "container" and values["size"]:
        query["size"] = True
    if kind == "image" and "platform" in values:
        from lodge.cli.platforms import platform_json

        query["platform"] = platform_json(values["platform"])
    if kind == "network" and "verbose" in values:
        query["verbose"] = values["verbose"]
    return ctx.engine.call("GET", _PATHS[kind].format(quote(name)), query=query)


def _find_any(ctx: Context, name: str, values: Values) -> Any:
    """The first kind that has such a name, in Docker's order."""
    kind = values["type"]
    if kind:
        if kind in _SWARM or kind not in _PATHS:
            raise InvalidArgument(f'unknown type: "{kind}"')
        return _find(kind, ctx, name, values)
    for kind in ("container", "image", "network", "volume"):
        try:
            return _find(kind, ctx, name, values)
        except RefusedNotFound:
            continue
    raise InvalidArgument(f"Error: No such object: {name}")


def _of(kind: str) -> Action:
    def act(ctx: Context, values: Values, names: list[str]) -> int:
        if kind == "image" and values["remote"]:
            from lodge.cli.verbs.image_tools import inspect_remote

            inspect_remote(ctx, values, names)
        return _inspect(ctx, values, names, lambda ctx, name, values: _find(kind, ctx, name, values))

    return act


def _inspect_any(ctx: Context, values: Values, names: list[str]) -> int:
    return _inspect(ctx, values, names, _find_any)


def _inspect(ctx: Context, values: Values, names: list[str], find: Find) -> int:
    found, failures = [], []
    for name in names:
        try:
            found.append(find(ctx, name, values))
        except LodgeError as error:
            prefix = "Error response from daemon: " if hasattr(error, "status") else ""
            failures.append(f"{prefix}{error.message}")
    layout = values["format"]
    if layout and layout != "json":
        from lodge.cli.formatting import print_one

        for item in found:
            print_one(layout, item)
    else:
        import json

        separators = (",", ":") if layout else None
        indent = None if layout else 4
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=indent, separators=separators) + "\n")
    for failure in failures:
        ctx.err(failure)
    return 1 if failures else 0


_FORMAT = Flag("format", STRING, 'Print by a Go template, or "json"', short="f")
_SIZE = Flag("size", BOOL, "Show how large a container is", short="s")


def _verb(kind: str, *flags: Flag) -> Command:
    return Command(
        f"[OPTIONS] {kind.upper()} [{kind.upper()}...]",
        f"Display detailed information on one or more {kind}s",
        _of(kind),
        flags=(_FORMAT, *flags),
        minimum=1,
        maximum=ANY,
        complete=kind,
    )


CONTAINER_INSPECT = _verb("container", _SIZE)
IMAGE_INSPECT = _verb(
    "image",
    Flag("platform", STRING, "Of this platform, as os/architecture"),
    Flag("remote", BOOL, "Show the configuration of one image in a registry, without pulling it"),
)
VOLUME_INSPECT = _verb("volume")
SECRET_INSPECT = _verb("secret")
NETWORK_INSPECT = _verb("network", Flag("verbose", BOOL, "Show what is connected", short="v"))
INSPECT = Command(
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Return low-level information on containers, images, networks or volumes",
    _inspect_any,
    flags=(_FORMAT, _SIZE, Flag("type", STRING, "Look only among container, image, network or volume")),
    minimum=1,
    maximum=ANY,
    complete="container",
)
