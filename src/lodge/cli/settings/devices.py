"""Devices that a container gets: --device and --gpus."""

from __future__ import annotations

from lodge.cli.settings.csv import split_fields
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def parse_devices(texts: Sequence[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Device mappings, and the requests for devices named in CDI's way (`vendor/class=name`)."""
    mappings, names = [], []
    for text in texts:
        if _is_cdi(text):
            names.append(text)
        else:
            mappings.append(_mapping(text))
    requests = [{"Driver": "cdi", "DeviceIDs": names}] if names else []
    return mappings, requests


def _is_cdi(text: str) -> bool:
    kind, mark, name = text.partition("=")
    vendor, slash, group = kind.partition("/")
    return bool(mark and name and vendor and slash and group) and not text.startswith("/")


def _is_access(text: str) -> bool:
    return 0 < len(text) <= 3 and len(set(text)) == len(text) and set(text) <= set("rwm")


def _mapping(text: str) -> dict[str, Any]:
    parts = text.split(":")
    if not parts[0] or len(parts) > 3:
        raise InvalidArgument(f"bad format for path: {text}" if not parts[0] else f"invalid device: {text}")
    path, target, access = parts[0], parts[0], "rwm"
    if len(parts) == 3:
        target, access = parts[1] or path, parts[2]
        if not _is_access(access):
            raise InvalidArgument(f"bad mode specified: {access}")
    elif len(parts) == 2:
        if _is_access(parts[1]):
            access = parts[1]
        else:
            target = parts[1]
    if not target.startswith("/"):
        raise InvalidArgument(f"{target} is not an absolute path")
    return {"PathOnHost": path, "PathInContainer": target, "CgroupPermissions": access}


def parse_gpus(text: str) -> dict[str, Any]:
    """One --gpus as the API's DeviceRequest: "all", a number, or fields such as `"device=0,1",driver=x`."""
    request: dict[str, Any] = {"Driver": "", "Count": 0, "Capabilities": [["gpu"]], "Options": {}}
    seen: set[str] = set()
    for field in split_fields(text):
        key, mark, value = field.partition("=")
        if key in seen:
            raise ValueError(f"gpu request key '{key}' can be specified only once")
        seen.add(key)
        if not mark:
            seen.add("count")
            request["Count"] = _count(key)
        elif key == "count":
            request["Count"] = _count(value)
        elif key == "driver":
            request["Driver"] = value
        elif key == "device":
            request["DeviceIDs"] = value.split(",")
        elif key == "capabilities":
            request["Capabilities"] = [[*value.split(","), "gpu"]]
        elif key == "options":
            request["Options"] = dict(_pair(option) for option in value.split(","))
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    if "count" not in seen and "device" not in seen:
        request["Count"] = 1
    return request


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _count(text: str) -> int:
    if text == "all":
        return -1
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            f'invalid count ({text}): value must be either "all" or an integer: invalid syntax'
        ) from None
