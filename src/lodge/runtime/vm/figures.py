"""What the agent counts, as the Struct that the engine knows: cgroup version 2's files as text. Pure."""

from __future__ import annotations

from lodge.kernel.cgroups import CgroupStats
from lodge.kernel.cgroups.contract import BlockDeviceFigure, CpuStats, MemoryStats, PidsStats

_LARGEST = 1 << 63


def sections(text: bytes) -> dict[str, list[str]]:
    """The lines behind each "== name"; hostile text gives odd names, never an error."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.decode("utf-8", "replace").split("\n"):
        if line.startswith("== "):
            current = found.setdefault(line[3:], [])
        elif line:
            current.append(line)
    return found


def read(text: bytes) -> CgroupStats:
    """The figures of a machine."""
    parts = sections(text)
    cpu, events = _pairs(parts.get("cpu.stat")), _pairs(parts.get("memory.events"))
    io = list(_block(parts.get("io.stat") or []))
    return CgroupStats(
        cpu=CpuStats(
            total=cpu.get("usage_usec", 0) * 1000,
            user=cpu.get("user_usec", 0) * 1000,
            system=cpu.get("system_usec", 0) * 1000,
            periods=cpu.get("nr_periods", 0),
            throttled_periods=cpu.get("nr_throttled", 0),
            throttled_time=cpu.get("throttled_usec", 0) * 1000,
        ),
        memory=MemoryStats(
            usage=_number(parts.get("memory.current")) or 0,
            peak=_number(parts.get("memory.peak")) or 0,
            limit=_number(parts.get("memory.max")) or _total(parts.get("meminfo")),
            failures=events.get("max", 0),
            stat=_pairs(parts.get("memory.stat")),
        ),
        pids=PidsStats(current=_number(parts.get("pids.current")) or 0, limit=_number(parts.get("pids.max"))),
        io_bytes=tuple(
            BlockDeviceFigure(*at, kind, value) for at, kind, value in io if kind in ("read", "write")
        ),
        io_operations=tuple(
            BlockDeviceFigure(*at, kind[:-1], value) for at, kind, value in io if kind in ("reads", "writes")
        ),
    )


def _pairs(lines: list[str] | None) -> dict[str, int]:
    pairs: dict[str, int] = {}
    for line in lines or []:
        name, _, value = line.partition(" ")
        number = _integer(value)
        if number is not None:
            pairs[name] = number
    return pairs


def _number(lines: list[str] | None) -> int | None:
    return _integer(lines[0]) if lines else None


def _integer(text: str) -> int | None:
    text = text.strip()
    return (
        int(text) if text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < _LARGEST else None
    )


def _total(lines: list[str] | None) -> int | None:
    """The machine's whole memory, in bytes: /proc/meminfo counts in KiB."""
    for line in lines or []:
        if line.startswith("MemTotal:"):
            number = _integer(line.removeprefix("MemTotal:").removesuffix("kB"))
            return None if number is None else number * 1024
    return None


def _block(lines: list[str]) -> list[tuple[tuple[int, int], str, int]]:
    words = {"rbytes": "read", "wbytes": "write", "rios": "reads", "wios": "writes"}
    found: list[tuple[tuple[int, int], str, int]] = []
    for line in lines:
        device, *pairs = line.split(" ")
        major, _, minor = device.partition(":")
        numbers = (_integer(major), _integer(minor))
        for pair in pairs:
            name, _, value = pair.partition("=")
            number = _integer(value)
            if name in words and number is not None and numbers[0] is not None and numbers[1] is not None:
                found.append(((numbers[0], numbers[1]), words[name], number))
    return found
