"""Resource limits: CPUs, ulimits, block I/O rates, and the HostConfig fields of `update` as well."""

from __future__ import annotations

from lodge.cli.flags import parse_bytes
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodge.cli.flags import Values

_ULIMITS = frozenset(
    [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ]
)

_PLAIN_LIMITS = (
    ("memory", "Memory"),
    ("memory-reservation", "MemoryReservation"),
    ("memory-swap", "MemorySwap"),
    ("memory-swappiness", "MemorySwappiness"),
    ("cpus", "NanoCpus"),
    ("cpu-shares", "CpuShares"),
    ("cpu-period", "CpuPeriod"),
    ("cpu-quota", "CpuQuota"),
    ("cpu-rt-period", "CpuRealtimePeriod"),
    ("cpu-rt-runtime", "CpuRealtimeRuntime"),
    ("cpuset-cpus", "CpusetCpus"),
    ("cpuset-mems", "CpusetMems"),
    ("pids-limit", "PidsLimit"),
    ("blkio-weight", "BlkioWeight"),
    ("blkio-weight-device", "BlkioWeightDevice"),
    ("device-read-bps", "BlkioDeviceReadBps"),
    ("device-write-bps", "BlkioDeviceWriteBps"),
    ("device-read-iops", "BlkioDeviceReadIOps"),
    ("device-write-iops", "BlkioDeviceWriteIOps"),
    ("device-cgroup-rule", "DeviceCgroupRules"),
    ("oom-kill-disable", "OomKillDisable"),
    ("oom-score-adj", "OomScoreAdj"),
    ("shm-size", "ShmSize"),
    ("cgroup-parent", "CgroupParent"),
)


def resources(values: Values) -> dict[str, Any]:
    """The HostConfig fields of the limits that were given."""
    found = {field: values[flag] for flag, field in _PLAIN_LIMITS if flag in values}
    swappiness = found.get("MemorySwappiness", -1)
    if not -1 <= swappiness <= 100:
        raise InvalidArgument(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    if "ulimit" in values:
        found["Ulimits"] = list({limit["Name"]: limit for limit in values["ulimit"]}.values())
    return found


def parse_cpus(text: str) -> int:
    """Billionths of a CPU from a decimal or a fraction: "1.5", "3/4"; ValueError for anything else."""
    from fractions import Fraction

    try:
        number = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"failed to parse {text} as a rational number") from None
    nano = number * 1_000_000_000
    if nano.denominator != 1:
        raise ValueError("value is too precise")
    return nano.numerator


def parse_ulimit(text: str) -> dict[str, Any]:
    """`name=soft[:hard]`, -1 for unlimited, as the API's Ulimit."""
    name, mark, limits = text.partition("=")
    if not mark:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    first, colon, second = limits.partition(":")
    soft = _number(first)
    hard = _number(second) if colon else soft
    if hard != -1 and (soft > hard or soft == -1):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {"Name": name, "Hard": hard, "Soft": soft}


def _number(text: str) -> int:
    if not text.removeprefix("-").isdecimal():
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def parse_device_weight(text: str) -> dict[str, Any]:
    """`device:weight` with a weight of 10 to 1000, or 0."""
    path, weight = _device_and_rest(text)
    if not weight.isdecimal() or not (int(weight) == 0 or 10 <= int(weight) <= 1000):
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": int(weight)}


def parse_device_bytes(text: str) -> dict[str, Any]:
    """`device:rate` in bytes a second, with a unit."""
    path, rate = _device_and_rest(text)
    try:
        return {"Path": path, "Rate": parse_bytes(rate)}
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]."
            " Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from None


def parse_device_operations(text: str) -> dict[str, Any]:
    """`device:rate` in operations a second."""
    path, rate = _device_and_rest(text)
    if not rate.isdecimal():
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>."
            " Number must be a positive integer"
        )
    return {"Path": path, "Rate": int(rate)}


def _device_and_rest(text: str) -> tuple[str, str]:
    path, mark, rest = text.partition(":")
    if not mark or not path:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, rest
