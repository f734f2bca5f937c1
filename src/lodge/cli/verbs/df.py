"""`system df`: what the engine's data take on the disk."""

from __future__ import annotations

import sys
import time

from lodge.cli.command import Command
from lodge.cli.flags import BOOL, STRING, Flag
from lodge.cli.human import ago, shorten, size, size_short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lodge.cli.command import Context
    from lodge.cli.flags import Values


def _df(ctx: Context, values: Values, _arguments: list[str]) -> None:
    usage = ctx.engine.call("GET", "/system/df")
    if values["format"] and values["verbose"]:
        from lodge.cli.formatting import print_one

        print_one(values["format"], usage)
        return
    if values["verbose"]:
        sys.stdout.write(verbose_report(usage))
        return
    from lodge.cli.formatting import print_list

    print_list(
        values["format"], summary(usage), _COLUMNS, ("Type", "TotalCount", "Active", "Size", "Reclaimable")
    )


def summary(usage: dict[str, Any]) -> list[dict[str, Any]]:
    """Four rows: images, containers, volumes and build cache, each with counts and bytes."""
    images, containers = usage.get("Images") or (), usage.get("Containers") or ()
    volumes, cache = usage.get("Volumes") or (), usage.get("BuildCache") or ()
    layers = usage.get("LayersSize") or 0
    used_images = [image for image in images if image.get("Containers", 0) > 0]
    kept = sum(image["Size"] - max(image.get("SharedSize", 0), 0) for image in used_images)
    live = [item for item in containers if item["State"] in ("running", "paused", "restarting")]
    used_volumes = [volume for volume in volumes if (volume.get("UsageData") or {}).get("RefCount", 0) > 0]
    return [
        _row("Images", images, used_images, layers, max(layers - kept, 0)),
        _row("Containers", containers, live, _total(containers), _total(containers) - _total(live)),
        _row("Local Volumes", volumes, used_volumes, _used(volumes), _used(volumes) - _used(used_volumes)),
        _row(
            "Build Cache",
            cache,
            [record for record in cache if record.get("InUse")],
            sum(record["Size"] for record in cache if not record.get("Shared")),
            sum(record["Size"] for record in cache if not (record.get("InUse") or record.get("Shared"))),
        ),
    ]


def _row(kind: str, every: Any, active: Any, total: int, free: int) -> dict[str, Any]:
    return {"Type": kind, "TotalCount": len(every), "Active": len(active), "Size": total, "Free": free}


def _total(containers: Any) -> int:
    return sum(item.get("SizeRw", 0) for item in containers)


def _used(volumes: Any) -> int:
    return sum(max((volume.get("UsageData") or {}).get("Size", 0), 0) for volume in volumes)


def _reclaimable(row: dict[str, Any]) -> str:
    text = size(row["Free"])
    if row["Size"] and row["Type"] != "Build Cache":
        text += f" ({row['Free'] * 100 // row['Size']}%)"
    return text


_COLUMNS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "Active": ("ACTIVE", lambda row: str(row["Active"])),
    "Reclaimable": ("RECLAIMABLE", _reclaimable),
    "Size": ("SIZE", lambda row: size(row["Size"])),
    "TotalCount": ("TOTAL", lambda row: str(row["TotalCount"])),
    "Type": ("TYPE", lambda row: row["Type"]),
}


def verbose_report(usage: dict[str, Any]) -> str:
    """Every image, container, volume and build record with its share."""
    from lodge.cli.table import align

    records = usage.get("BuildCache") or ()
    total = size_short(sum(record["Size"] for record in records))
    return "\n".join(
        (
            "Images space usage:\n",
            align([_IMAGES, *map(_image_line, usage.get("Images") or ())]),
            "Containers space usage:\n",
            align([_CONTAINERS, *map(_container_line, usage.get("Containers") or ())]),
            "Local Volumes space usage:\n",
            align([_VOLUMES, *map(_volume_line, usage.get("Volumes") or ())]),
            f"Build cache usage: {total}\n",
            align([_CACHE, *map(_record_line, records)]),
        )
    )


_IMAGES = "REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE\tSHARED SIZE\tUNIQUE SIZE\tCONTAINERS"
_CONTAINERS = "CONTAINER ID\tIMAGE\tCOMMAND\tLOCAL VOLUMES\tSIZE\tCREATED\tSTATUS\tNAMES"
_VOLUMES = "VOLUME NAME\tLINKS\tSIZE"
_CACHE = "CACHE ID\tCACHE TYPE\tSIZE\tCREATED\tLAST USED\tUSAGE\tSHARED"


def _image_line(image: dict[str, Any]) -> str:
    from lodge.cli.images import split_reference

    repository, tag = split_reference((image.get("RepoTags") or ["<none>:<none>"])[0])
    shared = max(image.get("SharedSize", 0), 0)
    sizes = (size_short(image["Size"]), size(shared), size(image["Size"] - shared))
    age = ago(time.time() - image["Created"])
    identifier = image["Id"].partition(":")[2][:12]
    return "\t".join((repository, tag, identifier, age, *sizes, str(image.get("Containers", 0))))


def _container_line(item: dict[str, Any]) -> str:
    volumes = sum(mount.get("Driver") == "local" for mount in item.get("Mounts") or ())
    return "\t".join(
        (
            item["Id"][:12],
            item["Image"],
            f'"{shorten(item["Command"], 20)}"',
            str(volumes),
            size_short(item.get("SizeRw", 0)),
            ago(time.time() - item["Created"]),
            item["Status"],
            ",".join(name.removeprefix("/") for name in item["Names"]),
        )
    )


def _volume_line(volume: dict[str, Any]) -> str:
    data = volume.get("UsageData") or {}
    return "\t".join((volume["Name"], str(data.get("RefCount", 0)), size_short(max(data.get("Size", 0), 0))))


def _record_line(record: dict[str, Any]) -> str:
    from lodge.cli.times import parse_rfc3339

    now = time.time()
    return "\t".join(
        (
            record["ID"][:12],
            record["Type"],
            size_short(record["Size"]),
            ago(now - parse_rfc3339(record.get("CreatedAt") or "")),
            ago(now - parse_rfc3339(record.get("LastUsedAt") or "")),
            str(record.get("UsageCount", 0)),
            str(record.get("Shared", False)).lower(),
        )
    )


DF = Command(
    "[OPTIONS]",
    "Show how much disk space is used",
    _df,
    flags=(
        Flag("format", STRING, "Print by a Go template, as json, or as a table of your own"),
        Flag("verbose", BOOL, "Show every object", short="v"),
    ),
)
