"""Figures of running containers: stats, and the table of processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from lodge.engine.census import Resident
from lodge.engine.containers.news import announce
from lodge.engine.models import Container, ProcessTable, Stats
from lodge.engine.parts import Parts
from lodge.engine.planning import machines
from lodge.errors import Conflict, InvalidArgument, LodgeError, Unsupported
from lodge.kernel.cgroups.contract import BlockDeviceFigure, CgroupStats
from lodge.kernel.system import cpu_total_time
from lodge.runtime.messages import Figures, Processes, ProcessList
from lodge.runtime.messages import Stats as StatsRequest

_SECOND = 1.0
_COUNTERS = (
    "rx_bytes", "rx_packets", "rx_errors", "rx_dropped",
    "tx_bytes", "tx_packets", "tx_errors", "tx_dropped",
)  # fmt: skip


async def stats(parts: Parts, resident: Resident, *, stream: bool, one_shot: bool) -> AsyncIterator[Stats]:
    """Figures each second; once only without `stream`, then with a second's difference unless `one_shot`."""
    previous: dict[str, Any] = {}
    previous_at = 0
    first = True
    while True:
        begun = time.monotonic()
        current, at = await _figures(parts, resident)
        if not (first and not stream and not one_shot and current):
            yield Stats(
                read_at=at, previous_read_at=previous_at, current=current, previous=previous, processes=0
            )
            if not stream or resident.gone:
                return
        previous, previous_at, first = current, at, False
        await asyncio.sleep(max(0.0, _SECOND - (time.monotonic() - begun)))
        if resident.gone:
            return


async def _figures(parts: Parts, resident: Resident) -> tuple[dict[str, Any], int]:
    """The figures of now; empty for a container that does not run."""
    keeper = resident.keeper
    if keeper is None or not resident.container.state.running:
        return {}, 0
    try:
        answer = await keeper.post(StatsRequest(request=keeper.next_number()))
    except LodgeError:
        return {}, 0
    assert isinstance(answer, Figures)
    figures = msgspec.json.decode(answer.stats, type=CgroupStats)
    shaped = shape(figures, parts.facts.cgroup_version, parts.facts.memory, parts.facts.cpus)
    if resident.container.interfaces:
        shaped["networks"] = await _traffic(parts, resident.container)
    return shaped, answer.at_ns


async def _traffic(parts: Parts, container: Container) -> dict[str, Any]:
    """What each interface has counted, with Docker's names; nothing of a container that ends meanwhile."""
    try:
        await parts.wiring.ready()
        counted = await parts.bridge.call(parts.wiring.hands.counters, container.state.pid)
    except (LodgeError, OSError):
        return {}
    return {
        one.interface: {name: getattr(one, name) for name in _COUNTERS}
        for one in sorted(counted, key=lambda one: one.interface)
    }


def shape(stats: CgroupStats, version: int, memory: int, cpus: int) -> dict[str, Any]:
    """The figures with Docker's names; clients make percentages of these."""
    cpu = stats.cpu
    usage: dict[str, Any] = {"total_usage": cpu.total}
    if cpu.per_cpu:
        usage["percpu_usage"] = list(cpu.per_cpu)
    usage |= {"usage_in_kernelmode": cpu.system, "usage_in_usermode": cpu.user}
    return {
        "cpu_stats": {
            "cpu_usage": usage,
            "system_cpu_usage": cpu_total_time(),
            "online_cpus": cpus,
            "throttling_data": {
                "periods": cpu.periods,
                "throttled_periods": cpu.throttled_periods,
                "throttled_time": cpu.throttled_time,
            },
        },
        "memory_stats": _memory(stats, version, memory),
        "pids_stats": {
            "current": stats.pids.current,
            "limit": 2**64 - 1 if stats.pids.limit is None else stats.pids.limit,
        },
        "blkio_stats": {
            "io_service_bytes_recursive": _block(stats.io_bytes, version),
            "io_serviced_recursive": _block(stats.io_operations, version) if version == 1 else None,
            "io_queue_recursive": None,
            "io_service_time_recursive": None,
            "io_wait_time_recursive": None,
            "io_merged_recursive": None,
            "io_time_recursive": None,
            "sectors_recursive": None,
        },
    }


def _memory(stats: CgroupStats, version: int, memory: int) -> dict[str, Any]:
    limit = stats.memory.limit
    shaped: dict[str, Any] = {"usage": stats.memory.usage}
    if version == 1:
        shaped["max_usage"] = stats.memory.peak
    shaped["stats"] = stats.memory.stat
    if version == 1 and stats.memory.failures:
        shaped["failcnt"] = stats.memory.failures
    shaped["limit"] = memory if limit is None or limit > memory > 0 else limit
    return shaped


def _block(figures: tuple[BlockDeviceFigure, ...], version: int) -> list[dict[str, Any]] | None:
    if not figures:
        return None
    return [
        {
            "major": figure.major,
            "minor": figure.minor,
            "op": figure.operation.capitalize() if version == 1 else figure.operation,
            "value": figure.value,
        }
        for figure in figures
    ]


async def top(parts: Parts, resident: Resident, arguments: str) -> ProcessTable:
    """The host's `ps` of the container's processes; Conflict when it does not run."""
    words = arguments.split() or ["-ef"]
    if any("pid" in word and "=" in word for word in words):
        raise InvalidArgument("specifying a column header for the pid is not supported (pid=)")
    container = resident.container
    keeper = resident.keeper
    if not container.state.running or keeper is None:
        raise Conflict(f"container {container.id} is not running")
    if container.state.status == "restarting":
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    answer = await keeper.post(Processes(request=keeper.next_number()))
    assert isinstance(answer, ProcessList)
    if machines.wanted(container.wish.host):
        if arguments not in ("", "-ef"):
            raise Unsupported("a machine's processes are shown as by ps -ef only")
        table = ProcessTable(titles=list(machines.PS_TITLES), processes=answer.rows)
    else:
        table = select(await _ps(words), set(answer.pids))
    announce(parts, resident, "top")
    return table


async def _ps(words: list[str]) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            "ps", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError:
        raise Unsupported("ps is not installed on this host", hint="apt-get install procps") from None
    output, trouble = await process.communicate()
    if process.returncode:
        reason = trouble.decode(errors="replace").strip().partition("\n")[0]
        raise InvalidArgument(f"ps {' '.join(words)}: {reason}")
    return output.decode(errors="replace")


def select(output: str, pids: set[int]) -> ProcessTable:
    """The lines of ps that belong to these processes; InvalidArgument when ps shows no PID."""
    lines = output.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise InvalidArgument("Couldn't find PID field in ps output")
    column = titles.index("PID")
    rows: list[list[str]] = []
    for line in lines[1:]:
        words = line.split()
        # A line of ps -F without a pid of its own belongs to the process above it.
        if len(words) > column and words[column].isdigit() and int(words[column]) in pids:
            rows.append(line.split(None, len(titles) - 1))
    return ProcessTable(titles=titles, processes=rows)
