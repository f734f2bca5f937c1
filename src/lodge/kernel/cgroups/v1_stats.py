"""Version 1, the figures: cpuacct, cpu, memory, pids and blkio as the contract's values."""

from __future__ import annotations

import os
from collections.abc import Mapping

from lodge.kernel.cgroups import files
from lodge.kernel.cgroups.contract import (
    BlockDeviceFigure,
    CgroupStats,
    CpuStats,
    MemoryStats,
    PidsStats,
)

# The kernel's "no limit" is the largest number of whole pages; anything near it can't be reached.
_UNLIMITED = 1 << 62
_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def read_stats(directories: Mapping[str, str]) -> CgroupStats:
    """The figures of a group by its directory in each controller; a missing controller counts nothing."""
    io_bytes: tuple[BlockDeviceFigure, ...] = ()
    io_operations: tuple[BlockDeviceFigure, ...] = ()
    if blkio := directories.get("blkio"):
        io_bytes = _blkio(blkio, "io_service_bytes")
        io_operations = _blkio(blkio, "io_serviced")
    return CgroupStats(
        cpu=_cpu(directories),
        memory=_memory(directories["memory"]) if "memory" in directories else MemoryStats(),
        pids=_pids(directories["pids"]) if "pids" in directories else PidsStats(),
        io_bytes=io_bytes,
        io_operations=io_operations,
    )


def _cpu(directories: Mapping[str, str]) -> CpuStats:
    total = user = system = 0
    per_cpu: tuple[int, ...] = ()
    throttling: dict[str, int] = {}
    if cpuacct := directories.get("cpuacct"):
        total = files.read_number(f"{cpuacct}/cpuacct.usage")
        per_cpu = tuple(int(word) for word in files.read_or(f"{cpuacct}/cpuacct.usage_percpu").split())
        ticks = files.read_table(f"{cpuacct}/cpuacct.stat")
        user, system = ticks.get("user", 0) * _TICK, ticks.get("system", 0) * _TICK
    if cpu := directories.get("cpu"):
        throttling = files.read_table(f"{cpu}/cpu.stat")
    return CpuStats(
        total=total,
        user=user,
        system=system,
        per_cpu=per_cpu,
        periods=throttling.get("nr_periods", 0),
        throttled_periods=throttling.get("nr_throttled", 0),
        throttled_time=throttling.get("throttled_time", 0),
    )


def _memory(directory: str) -> MemoryStats:
    return MemoryStats(
        usage=files.read_number(f"{directory}/memory.usage_in_bytes"),
        peak=files.read_number(f"{directory}/memory.max_usage_in_bytes"),
        limit=files.read_limit(f"{directory}/memory.limit_in_bytes", _UNLIMITED),
        failures=files.read_number(f"{directory}/memory.failcnt"),
        swap_limit=files.read_limit(f"{directory}/memory.memsw.limit_in_bytes", _UNLIMITED),
        stat=files.read_table(f"{directory}/memory.stat"),
    )


def _pids(directory: str) -> PidsStats:
    return PidsStats(
        current=files.read_number(f"{directory}/pids.current"),
        limit=files.read_limit(f"{directory}/pids.max", _UNLIMITED),
    )


def _blkio(directory: str, name: str) -> tuple[BlockDeviceFigure, ...]:
    """The scheduler's figures (bfq) where it keeps some, else those of the throttling layer."""
    for file in (
        f"blkio.bfq.{name}_recursive",
        f"blkio.{name}_recursive",
        f"blkio.throttle.{name}_recursive",
    ):
        figures = parse_blkio(files.read_or(f"{directory}/{file}"))
        if figures:
            return figures
    return ()


def parse_blkio(text: str) -> tuple[BlockDeviceFigure, ...]:
    """Lines of "major:minor Operation number"; the closing "Total number" belongs to no device."""
    figures = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:
            major, _, minor = words[0].partition(":")
            figures.append(BlockDeviceFigure(int(major), int(minor), words[1].lower(), int(words[2])))
    return tuple(figures)
