"""Events, figures, volumes, execs, disk usage in answers. Pure."""

from __future__ import annotations

from typing import Any

from lodge.api import shapes_containers, shapes_images
from lodge.api.times import rfc3339, rfc3339_seconds
from lodge.engine.models import Container, Event, Exec, Image, PathStat, Stats, Volume

_NO_CPU: dict[str, Any] = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}

_BLOCK_FIGURES = (
    "io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive",
    "io_wait_time_recursive", "io_merged_recursive", "io_time_recursive", "sectors_recursive",
)  # fmt: skip


def event(value: Event, version: int) -> dict[str, Any]:
    """One event; older clients find its id, status and image at the top as well."""
    out: dict[str, Any] = {}
    if version < 52 and value.type in ("container", "image"):
        out = {"status": value.action, "id": value.actor_id}
        if value.type == "container":
            out["from"] = value.attributes.get("image", "")
    return out | {
        "Type": value.type,
        "Action": value.action,
        "Actor": {"ID": value.actor_id, "Attributes": value.attributes},
        "scope": "local",
        "time": value.at // 1_000_000_000,
        "timeNano": value.at,
    }


def stats(container: Container, value: Stats) -> dict[str, Any]:
    """Figures of one moment, with those before it from which clients compute percentages."""
    out: dict[str, Any] = {
        "name": "/" + container.name,
        "id": container.id,
        "os_type": "linux",
        "read": rfc3339(value.read_at),
        "preread": rfc3339(value.previous_read_at),
        "pids_stats": {},
        "blkio_stats": dict.fromkeys(_BLOCK_FIGURES),
        "num_procs": value.processes,
        "storage_stats": {},
        "cpu_stats": _NO_CPU,
        "precpu_stats": value.previous.get("cpu_stats") or _NO_CPU,
        "memory_stats": {},
    }
    return out | value.current


def volume(value: Volume, *, usage: bool = False) -> dict[str, Any]:
    """A named volume."""
    out: dict[str, Any] = {
        "CreatedAt": rfc3339_seconds(value.created_at),
        "Driver": value.driver,
        "Labels": value.labels,
        "Mountpoint": value.mountpoint,
        "Name": value.name,
        "Options": value.options,
        "Scope": "local",
    }
    if usage:
        out["UsageData"] = {"RefCount": value.references, "Size": value.size}
    return out


def exec_(value: Exec) -> dict[str, Any]:
    """An exec."""
    wish = value.wish
    program: dict[str, Any] = {
        "tty": wish.terminal,
        "entrypoint": wish.command[0] if wish.command else "",
        "arguments": wish.command[1:],
        "privileged": wish.privileged,
    }
    if wish.user:
        program["user"] = wish.user
    return {
        "ID": value.id,
        "Running": value.running,
        "ExitCode": value.exit_code,
        "ProcessConfig": program,
        "OpenStdin": wish.attach_stdin,
        "OpenStderr": wish.attach_stderr,
        "OpenStdout": wish.attach_stdout,
        "CanRemove": False,
        "ContainerID": value.container_id,
        "DetachKeys": wish.detach_keys,
        "Pid": value.pid,
    }


def path_stat(value: PathStat) -> dict[str, Any]:
    """A file in a container, for the X-Docker-Container-Path-Stat header."""
    return {
        "name": value.name,
        "size": value.size,
        "mode": value.mode,
        "mtime": rfc3339(value.mtime),
        "linkTarget": value.link_target,
    }


class DiskUsage:
    """What `df` found: the parts that were asked for, None for others."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.images: list[Image] | None = found.get("images")
        self.containers: list[tuple[Container, int, int]] | None = found.get("containers")
        self.volumes: list[Volume] | None = found.get("volumes")
        self.layers_size: int = found.get("layers_size", 0)
        self.records: list[dict[str, Any]] = found.get("records", [])

    def legacy(self, version: int, *, build_cache: bool) -> dict[str, Any]:
        """The layout of API 1.51 and before."""
        out: dict[str, Any] = {}
        if self.images is not None:
            out["LayersSize"] = self.layers_size
            out["Images"] = self._image_items(version)
        if self.containers is not None:
            out["Containers"] = self._container_items(version)
        if self.volumes is not None:
            out["Volumes"] = [volume(one, usage=True) for one in self.volumes]
        if build_cache:
            out["BuildCache"] = self.records
        return out

    def current(self, version: int, *, verbose: bool, build_cache: bool) -> dict[str, Any]:
        """The layout since API 1.52: sums, and the items where they are asked for."""
        out: dict[str, Any] = {}
        if self.images is not None:
            out["ImageUsage"] = self._image_usage() | _items(verbose, self._image_items(version))
        if self.containers is not None:
            out["ContainerUsage"] = self._container_usage() | _items(verbose, self._container_items(version))
        if self.volumes is not None:
            items = [volume(one, usage=True) for one in self.volumes]
            out["VolumeUsage"] = self._volume_usage() | _items(verbose, items)
        if build_cache:
            out["BuildCacheUsage"] = self._cache_usage() | _items(verbose, self.records)
        return out

    def _cache_usage(self) -> dict[str, int]:
        own = [each for each in self.records if not each["Shared"]]
        used = [each for each in self.records if each["InUse"]]
        free = sum(each["Size"] for each in own if not each["InUse"])
        return _sums(len(used), len(self.records), sum(each["Size"] for each in own), free)

    def _image_items(self, version: int) -> list[dict[str, Any]]:
        return [shapes_images.summary(one, max(version, 51)) for one in self.images or ()]

    def _container_items(self, version: int) -> list[dict[str, Any]]:
        return [
            shapes_containers.summary(one, version, (written, whole))
            for one, written, whole in self.containers or ()
        ]

    def _image_usage(self) -> dict[str, int]:
        images = self.images or []
        used = [one for one in images if one.containers > 0]
        unused = sum(max(0, one.size - max(0, one.shared_size)) for one in images if one.containers <= 0)
        return _sums(len(used), len(images), self.layers_size, min(unused, self.layers_size))

    def _container_usage(self) -> dict[str, int]:
        found = self.containers or []
        active = [one for one in found if one[0].state.running]
        total = sum(written for _, written, _ in found)
        return _sums(len(active), len(found), total, total - sum(written for _, written, _ in active))

    def _volume_usage(self) -> dict[str, int]:
        found = self.volumes or []
        used = [one for one in found if one.references > 0]
        total = sum(max(0, one.size) for one in found)
        return _sums(len(used), len(found), total, total - sum(max(0, one.size) for one in used))


def _sums(active: int, count: int, size: int, reclaimable: int) -> dict[str, int]:
    """Docker leaves zeros out."""
    sums = {"ActiveCount": active, "TotalCount": count, "TotalSize": size, "Reclaimable": reclaimable}
    return {name: number for name, number in sums.items() if number}


def _items(wanted: bool, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Items": items} if wanted and items else {}
