"""Images in answers: list, inspect, history, deletions, progress lines. Pure."""

from __future__ import annotations

from typing import Any

from lodge.api.times import rfc3339
from lodge.engine.models import HistoryEntry, Image, ImageDeletion, Progress

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_SINCE_1_50: dict[str, Any] = {
    "Cmd": None, "Entrypoint": None, "Env": None, "Labels": None, "OnBuild": None, "User": "",
    "Volumes": None, "WorkingDir": "",
}  # fmt: skip
_BEFORE_1_50: dict[str, Any] = _SINCE_1_50 | {
    "AttachStderr": False, "AttachStdin": False, "AttachStdout": False, "Domainname": "", "Hostname": "",
    "Image": "", "OpenStdin": False, "StdinOnce": False, "Tty": False,
}  # fmt: skip


def summary(image: Image, version: int) -> dict[str, Any]:
    """One line of the list."""
    tags, digests = image.tags, image.digests
    if version < 43 and not tags and not digests:
        tags, digests = ["<none>:<none>"], ["<none>@<none>"]
    out: dict[str, Any] = {
        "Containers": image.containers if version >= 51 else -1,
        "Created": image.created_at // 1_000_000_000,
        "Id": image.id,
        "Labels": _config(image).get("Labels"),
        "ParentId": image.parent,
        "RepoDigests": digests,
        "RepoTags": tags,
        "SharedSize": image.shared_size,
        "Size": image.size,
    }
    if version < 44:
        out["VirtualSize"] = image.size
    return out


def inspect(image: Image, version: int) -> dict[str, Any]:
    """All of one image."""
    created = rfc3339(image.created_at)
    out: dict[str, Any] = {
        "Id": image.id,
        "RepoTags": image.tags,
        "RepoDigests": image.digests,
        "Created": created,
        "Config": _inspected_config(image, version),
        "Architecture": image.architecture,
        "Os": image.os,
        "Size": image.size,
        "RootFS": {"Type": "layers", "Layers": image.diff_ids},
        "Metadata": {"LastTagTime": rfc3339(image.tagged_at)},
    }
    if not image.created_at and version >= 44:
        del out["Created"]
    if image.variant:
        out["Variant"] = image.variant
    texts = {
        "Parent": image.parent,
        "Comment": image.comment,
        "DockerVersion": image.config.get("docker_version", ""),
        "Author": image.author,
    }
    out |= texts if version < 52 else {name: text for name, text in texts.items() if text}
    _add_legacy(out, image, version)
    return out


def _add_legacy(out: dict[str, Any], image: Image, version: int) -> None:
    if version < 52:
        out["GraphDriver"] = {"Name": "overlay2", "Data": None}
    if version < 45:
        out["Container"] = image.config.get("container", "")
        out["ContainerConfig"] = image.config.get("container_config")
    if version < 44:
        out["VirtualSize"] = image.size


def _config(image: Image) -> dict[str, Any]:
    return image.config.get("config") or {}


def _inspected_config(image: Image, version: int) -> dict[str, Any]:
    """Config: only what is set for new clients, all members for those that expect them."""
    given = {name: value for name, value in _config(image).items() if value or value is False}
    if version >= 52:
        return given
    return (_SINCE_1_50 if version >= 50 else _BEFORE_1_50) | given


def history(entries: list[HistoryEntry]) -> list[dict[str, Any]]:
    """The steps of an image's making, newest first."""
    return [
        {
            "Comment": entry.comment,
            "Created": entry.created_at // 1_000_000_000,
            "CreatedBy": entry.created_by,
            "Id": entry.id,
            "Size": entry.size,
            "Tags": entry.tags,
        }
        for entry in entries
    ]


def deletions(items: list[ImageDeletion]) -> list[dict[str, str]]:
    """What a removal did."""
    return [{"Untagged": one.untagged} if one.untagged else {"Deleted": one.deleted} for one in items]


def progress(value: Progress) -> dict[str, Any]:
    """A JSON message of pull, load, import and build."""
    if value.error:
        return {"errorDetail": {"message": value.error}, "error": value.error}
    out: dict[str, Any] = {}
    if value.stream:
        out["stream"] = value.stream
    if value.status:
        out["status"] = value.status
    if value.current or value.total:
        out["progressDetail"] = {name: size for name, size in _amounts(value) if size}
        out["progress"] = _bar(value.current, value.total)
    elif value.id and value.status:
        out["progressDetail"] = {}
    if value.id:
        out["id"] = value.id
    if value.aux is not None:
        out["aux"] = value.aux
    return out


def _amounts(value: Progress) -> tuple[tuple[str, int], ...]:
    return (("current", value.current), ("total", value.total))


def _bar(current: int, total: int) -> str:
    """The bar that old clients print as it stands."""
    if total <= 0 or current > total:
        return human_size(current).rjust(8)
    done = min(50, int(current / total * 100) // 2)
    return f"[{'=' * done}>{' ' * (50 - done)}] {human_size(current):>8}/{human_size(total)}"


def human_size(size: int) -> str:
    """Bytes in decimal units with four digits, as Docker writes them."""
    amount = float(size)
    unit = 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount /= 1000
        unit += 1
    return f"{amount:.4g}{_UNITS[unit]}"
