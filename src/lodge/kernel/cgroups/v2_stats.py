"""Version 2, the figures: cpu.stat, memory.*, pids.* and io.stat as the contract's values."""

from __future__ import annotations

from lodge.kernel.cgroups import files
from lodge.kernel.cgroups.contract import (
    BlockDeviceFigure,
    CgroupStats,
    CpuStats,
    MemoryStats,
    PidsStats,
)

_UNLIMITED = 1 << 63
_BYTES = {"rbytes": "read", "wbytes": "write", "dbytes": "discard"}
_OPERATIONS = {"rios": "read", "wios": "write", "dios": "discard"}


def read_stats(directory: str) -> CgroupStats:
    """The figures of a group by its directory; files of missing controllers count nothing."""
    io = files.read_or(f"{directory}/io.stat")
    return CgroupStats(
        cpu=_cpu(files.read_table(f"{directory}/cpu.stat")),
        memory=_memory(directory),
        pids=PidsStats(
            current=files.read_number(f"{directory}/pids.current"),
            limit=files.read_limit(f"{directory}/pids.max", _UNLIMITED),
        ),
        io_bytes=parse_io(io, _BYTES),
        io_operations=parse_io(io, _OPERATIONS),
    )


def _cpu(table: dict[str, int]) -> CpuStats:
    return CpuStats(
        total=table.get("usage_usec", 0) * 1000,
        user=table.get("user_usec", 0) * 1000,
        system=table.get("system_usec", 0) * 1000,
        periods=table.get("nr_periods", 0),
        throttled_periods=table.get("nr_throttled", 0),
        throttled_time=table.get("throttled_usec", 0) * 1000,
    )


def _memory(directory: str) -> MemoryStats:
    limit = files.read_limit(f"{directory}/memory.max", _UNLIMITED)
    swap = files.read_limit(f"{directory}/memory.swap.max", _UNLIMITED)
    return MemoryStats(
        usage=files.read_number(f"{directory}/memory.current"),
        peak=files.read_number(f"{directory}/memory.peak"),
        limit=limit,
        failures=files.read_table(f"{directory}/memory.events").get("max", 0),
        swap_limit=None if swap is None or limit is None else swap + limit,
        stat=files.read_table(f"{directory}/memory.stat"),
    )


def parse_io(text: str, words: dict[str, str]) -> tuple[BlockDeviceFigure, ...]:
    """Lines of "major:minor rbytes=1 wbytes=2 ..."; only the words wanted."""
    figures = []
    for line in text.splitlines():
        device, *pairs = line.split()
        major, _, minor = device.partition(":")
        if not major.isdigit():
            continue
        for pair in pairs:
            word, _, value = pair.partition("=")
            if word in words:
                figures.append(BlockDeviceFigure(int(major), int(minor), words[word], int(value)))
    return tuple(figures)
