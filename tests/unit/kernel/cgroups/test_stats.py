"""Figures: recorded files of both versions as the contract's values."""

from pathlib import Path

from lodge.kernel.cgroups import files, v1_stats, v2_stats
from lodge.kernel.cgroups.contract import BlockDeviceFigure, CgroupStats


def write(directory: Path, content: dict[str, str]) -> str:
    directory.mkdir(exist_ok=True)
    for name, text in content.items():
        (directory / name).write_text(text)
    return str(directory)


def test_version_1(tmp_path: Path) -> None:
    directories = {
        "cpuacct": write(
            tmp_path / "cpuacct",
            {
                "cpuacct.usage": "300\n",
                "cpuacct.usage_percpu": "100 200 \n",
                "cpuacct.stat": "user 7\nsystem 3\n",
            },
        ),
        "cpu": write(tmp_path / "cpu", {"cpu.stat": "nr_periods 4\nnr_throttled 2\nthrottled_time 99\n"}),
        "memory": write(
            tmp_path / "memory",
            {
                "memory.usage_in_bytes": "10\n",
                "memory.max_usage_in_bytes": "20\n",
                "memory.limit_in_bytes": "9223372036854771712\n",
                "memory.failcnt": "1\n",
                "memory.memsw.limit_in_bytes": "4096\n",
                "memory.stat": "cache 5\nrss 6\n",
            },
        ),
        "pids": write(tmp_path / "pids", {"pids.current": "2\n", "pids.max": "max\n"}),
        "blkio": write(
            tmp_path / "blkio",
            {
                "blkio.throttle.io_service_bytes_recursive": "8:0 Read 1\n8:0 Total 1\nTotal 1\n",
                "blkio.throttle.io_serviced_recursive": "8:0 Write 2\nTotal 2\n",
                "blkio.bfq.io_serviced_recursive": "Total 0\n",
            },
        ),
    }
    stats = v1_stats.read_stats(directories)
    assert (stats.cpu.total, stats.cpu.per_cpu) == (300, (100, 200))
    assert (stats.cpu.user, stats.cpu.system) == (70_000_000, 30_000_000)
    assert (stats.cpu.periods, stats.cpu.throttled_periods, stats.cpu.throttled_time) == (4, 2, 99)
    memory = stats.memory
    assert (memory.usage, memory.peak, memory.limit, memory.failures, memory.swap_limit) == (
        10,
        20,
        None,
        1,
        4096,
    )
    assert memory.stat == {"cache": 5, "rss": 6}
    assert (stats.pids.current, stats.pids.limit) == (2, None)
    assert stats.io_bytes == (BlockDeviceFigure(8, 0, "read", 1), BlockDeviceFigure(8, 0, "total", 1))
    assert stats.io_operations == (BlockDeviceFigure(8, 0, "write", 2),)


def test_version_2(tmp_path: Path) -> None:
    directory = write(
        tmp_path / "group",
        {
            "cpu.stat": "usage_usec 3\nuser_usec 2\nsystem_usec 1\n"
            "nr_periods 4\nnr_throttled 2\nthrottled_usec 9\n",
            "memory.current": "10\n",
            "memory.peak": "20\n",
            "memory.max": "4096\n",
            "memory.swap.max": "100\n",
            "memory.events": "low 0\nhigh 0\nmax 6\noom 1\noom_kill 1\n",
            "memory.stat": "anon 5\nfile 6\n",
            "pids.current": "2\n",
            "pids.max": "7\n",
            "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n7:0 \n",
        },
    )
    stats = v2_stats.read_stats(directory)
    assert (stats.cpu.total, stats.cpu.user, stats.cpu.system) == (3000, 2000, 1000)
    assert stats.cpu.throttled_time == 9000
    memory = stats.memory
    assert (memory.usage, memory.peak, memory.limit, memory.failures, memory.swap_limit) == (
        10,
        20,
        4096,
        6,
        4196,
    )
    assert (stats.pids.current, stats.pids.limit) == (2, 7)
    assert [(f.operation, f.value) for f in stats.io_bytes] == [("read", 1), ("write", 2), ("discard", 5)]
    assert [(f.operation, f.value) for f in stats.io_operations] == [
        ("read", 3),
        ("write", 4),
        ("discard", 6),
    ]


def test_missing_controllers_count_nothing(tmp_path: Path) -> None:
    assert v1_stats.read_stats({}) == CgroupStats()
    assert v2_stats.read_stats(str(tmp_path)) == CgroupStats()


def test_long_files_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "long").write_text("123456789\n" * 50_000)
    assert len(files.read(str(tmp_path / "long"))) == 500_000
