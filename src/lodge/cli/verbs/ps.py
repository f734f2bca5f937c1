"""`ps`: the list of containers."""

from __future__ import annotations

import time

from lodge.cli.command import Command
from lodge.cli.filters import encode_filters
from lodge.cli.flags import BOOL, FILTER, INT, STRING, Flag
from lodge.cli.human import ago, short_id, shorten, size_short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lodge.cli.command import Context
    from lodge.cli.flags import Values

_DEFAULT = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")


def _ps(ctx: Context, values: Values, _arguments: list[str]) -> None:
    last = 1 if values["latest"] and "last" not in values else values["last"]
    layout = values["format"] or ("" if values["quiet"] else ctx.config().get("psFormat") or "")
    items = ctx.engine.call(
        "GET",
        "/containers/json",
        query={
            "all": values["all"] or last > 0,
            "limit": last if last > 0 else None,
            "size": values["size"] or ".Size" in layout,
            "filters": encode_filters(values["filter"]),
        },
    )
    truncate = not values["no-trunc"]
    if values["quiet"] and not values["format"]:
        for item in items:
            ctx.out(item["Id"][:12] if truncate else item["Id"])
        return
    from lodge.cli.formatting import print_list

    default = (*_DEFAULT, "Size") if values["size"] else _DEFAULT
    print_list(layout, items, columns(truncate), default)


def columns(truncate: bool) -> dict[str, tuple[str, Callable[[Any], Any]]]:
    """Everything that a template may ask of a container in the list."""
    return {
        "Command": ("COMMAND", lambda item: _command(item["Command"], truncate)),
        "CreatedAt": ("CREATED AT", lambda item: _created_at(item["Created"])),
        "ID": ("CONTAINER ID", lambda item: item["Id"][:12] if truncate else item["Id"]),
        "Image": ("IMAGE", lambda item: _image(item, truncate)),
        "Label": ("LABEL", lambda item: lambda name: (item.get("Labels") or {}).get(name, "")),
        "Labels": ("LABELS", lambda item: _labels(item.get("Labels") or {})),
        "LocalVolumes": ("LOCAL VOLUMES", _local_volumes),
        "Mounts": ("MOUNTS", lambda item: _mounts(item, truncate)),
        "Names": ("NAMES", lambda item: _names(item, truncate)),
        "Networks": ("NETWORKS", _networks),
        "Platform": ("PLATFORM", _platform),
        "Ports": ("PORTS", lambda item: describe_ports(item.get("Ports") or [])),
        "RunningFor": ("CREATED", lambda item: ago(time.time() - item["Created"])),
        "Size": ("SIZE", _size),
        "State": ("STATE", lambda item: item.get("State", "")),
        "Status": ("STATUS", lambda item: item.get("Status", "")),
    }


def _command(text: str, truncate: bool) -> str:
    from lodge.client.lean_json import dumps

    shown = shorten(text, 20) if truncate else text
    return dumps(shown).replace("\\u2026", "…")


def _created_at(seconds: float) -> str:
    from lodge.cli.times import stamp

    return stamp(seconds)


def _image(item: dict[str, Any], truncate: bool) -> str:
    image = str(item.get("Image") or "")
    if not image:
        return "<no image>"
    if not truncate:
        return image
    if short_id(image) == short_id(str(item.get("ImageID", ""))):
        return short_id(image)
    name, mark, _ = image.partition("@")
    return name if mark and ":" in name.rpartition("/")[2] else image.partition("@")[0] if mark else image


def _names(item: dict[str, Any], truncate: bool) -> str:
    """Names without their slash; a link's name ("/other/alias") is left out of short lists."""
    names = [name.removeprefix("/") for name in item.get("Names") or ()]
    if truncate:
        names = [name for name in names if "/" not in name] or names[:1]
    return ",".join(names)


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _mounts(item: dict[str, Any], truncate: bool) -> str:
    names = [str(mount.get("Name") or mount.get("Source") or "") for mount in item.get("Mounts") or ()]
    return ",".join(shorten(name, 15) if truncate else name for name in names)


def _local_volumes(item: dict[str, Any]) -> str:
    return str(sum(mount.get("Driver") == "local" for mount in item.get("Mounts") or ()))


def _networks(item: dict[str, Any]) -> str:
    return ",".join((item.get("NetworkSettings") or {}).get("Networks") or ())


def _platform(item: dict[str, Any]) -> str | None:
    platform = (item.get("ImageManifestDescriptor") or {}).get("platform") or {}
    parts = [platform[key] for key in ("os", "architecture", "variant") if platform.get(key)]
    return "/".join(parts) or None


def _size(item: dict[str, Any]) -> str:
    virtual = item.get("SizeRootFs", 0)
    text = size_short(item.get("SizeRw", 0))
    return f"{text} (virtual {size_short(virtual)})" if virtual else text


def describe_ports(ports: list[dict[str, Any]]) -> str:
    """All ports, as "0.0.0.0:8080->80/tcp, 90-92/udp": neighbours are joined into ranges."""
    groups: dict[tuple[str, str, int | None], list[int]] = {}
    for port in sorted(ports, key=_port_order):
        private, public = port["PrivatePort"], port.get("PublicPort")
        offset = public - private if public else None
        groups.setdefault((port.get("IP") or "", port.get("Type", "tcp"), offset), []).append(private)
    texts: list[str] = []
    for (address, kind, offset), numbers in groups.items():
        for first, last in _runs(sorted(set(numbers))):
            shown = str(first) if first == last else f"{first}-{last}"
            if offset is None:
                texts.append(f"{shown}/{kind}")
                continue
            low, high = first + offset, last + offset
            host = str(low) if first == last else f"{low}-{high}"
            place = f"[{address}]" if ":" in address else address
            texts.append(f"{place}:{host}->{shown}/{kind}")
    return ", ".join(texts)


def _port_order(port: dict[str, Any]) -> tuple[int, str, int, str]:
    return port["PrivatePort"], port.get("IP") or "", port.get("PublicPort") or 0, port.get("Type", "")


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


PS = Command(
    "[OPTIONS]",
    "List containers",
    _ps,
    flags=(
        Flag("all", BOOL, "Show all, not only those that run", short="a"),
        Flag("filter", FILTER, "Show only those with name=value", short="f"),
        Flag("format", STRING, "Print by a Go template, as json, or as a table of your own"),
        Flag("last", INT, "Show the last n that were made", short="n", default=-1),
        Flag("latest", BOOL, "Show the last one that was made", short="l"),
        Flag("no-trunc", BOOL, "Do not shorten anything"),
        Flag("quiet", BOOL, "Print IDs only", short="q"),
        Flag("size", BOOL, "Show how large they are", short="s"),
    ),
)
