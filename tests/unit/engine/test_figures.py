"""Stats in Docker's names, and the lines of ps that belong to a container."""

from __future__ import annotations

import pytest

from lodge.engine.containers.figures import select, shape
from lodge.errors import InvalidArgument
from lodge.kernel.cgroups.contract import (
    BlockDeviceFigure,
    CgroupStats,
    CpuStats,
    MemoryStats,
    PidsStats,
)

STATS = CgroupStats(
    cpu=CpuStats(total=10, user=6, system=4, per_cpu=(3, 7)),
    memory=MemoryStats(usage=100, peak=200, limit=None, stat={"cache": 1}),
    pids=PidsStats(current=2, limit=None),
    io_bytes=(BlockDeviceFigure(8, 0, "read", 5),),
)


def test_version_1() -> None:
    shaped = shape(STATS, 1, 1000, 2)
    assert shaped["cpu_stats"]["cpu_usage"] == {
        "total_usage": 10,
        "percpu_usage": [3, 7],
        "usage_in_kernelmode": 4,
        "usage_in_usermode": 6,
    }
    assert shaped["cpu_stats"]["online_cpus"] == 2
    assert shaped["cpu_stats"]["system_cpu_usage"] > 0
    assert shaped["memory_stats"] == {"usage": 100, "max_usage": 200, "stats": {"cache": 1}, "limit": 1000}
    assert shaped["pids_stats"] == {"current": 2, "limit": 2**64 - 1}
    assert shaped["blkio_stats"]["io_service_bytes_recursive"] == [
        {"major": 8, "minor": 0, "op": "Read", "value": 5}
    ]


def test_version_2_has_no_peak_and_small_words() -> None:
    shaped = shape(STATS, 2, 1000, 2)
    assert "max_usage" not in shaped["memory_stats"]
    assert shaped["blkio_stats"]["io_service_bytes_recursive"][0]["op"] == "read"


PS = "UID   PID  PPID CMD\nroot    1     0 init\nroot   42     1 sleep 100 s\nroot  142     1 other\n"


def test_only_the_containers_processes_are_shown() -> None:
    table = select(PS, {42})
    assert table.titles == ["UID", "PID", "PPID", "CMD"]
    assert table.processes == [["root", "42", "1", "sleep 100 s"]]


def test_without_pids_there_is_nothing_to_choose_by() -> None:
    with pytest.raises(InvalidArgument, match="Couldn't find PID field"):
        select("USER CMD\nroot x\n", {1})
