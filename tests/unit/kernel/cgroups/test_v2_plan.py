"""Version 2: conversions from version 1's words, and what does not exist any more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument, Unsupported
from lodge.kernel.cgroups.v2_plan import cpu_weight, io_weight, plan, swap_max
from lodge.spec import runtime as r


def texts(resources: r.Resources) -> list[tuple[str, str]]:
    return [(write.files[-1], write.texts[-1]) for write in plan(resources)]


def test_nothing_asked_nothing_written() -> None:
    assert plan(r.Resources(memory=r.Memory(), cpu=r.Cpu(), pids=r.Pids(), block_io=r.BlockIo())) == []


def test_memory() -> None:
    memory = r.Memory(limit=1000, swap=1500, reservation=500)
    assert texts(r.Resources(memory=memory)) == [
        ("memory.swap.max", "500"),
        ("memory.max", "1000"),
        ("memory.low", "500"),
    ]
    assert texts(r.Resources(memory=r.Memory(limit=-1))) == [
        ("memory.swap.max", "max"),
        ("memory.max", "max"),
    ]


@pytest.mark.parametrize(
    ("limit", "swap", "expected"),
    [
        (10, 10, 0),
        (10, 30, 20),
        (10, -1, -1),
        (None, -1, -1),
        (-1, None, -1),
        (10, None, None),
        (10, 0, None),
    ],
)
def test_swap_without_memory(limit: int | None, swap: int | None, expected: int | None) -> None:
    assert swap_max(limit, swap) == expected


@pytest.mark.parametrize(("limit", "swap"), [(None, 10), (-1, 10), (20, 10)])
def test_impossible_swap(limit: int | None, swap: int) -> None:
    with pytest.raises(InvalidArgument):
        swap_max(limit, swap)


def test_no_swap_at_all_needs_no_swap_controller() -> None:
    writes = plan(r.Resources(memory=r.Memory(limit=10, swap=10)))
    assert [write.optional for write in writes] == [True, False]


@pytest.mark.parametrize(
    ("shares", "weight"), [(0, 1), (2, 1), (1024, 100), (262144, 10000), (1 << 40, 10000)]
)
def test_known_weights(shares: int, weight: int) -> None:
    assert cpu_weight(shares) == weight


@given(st.integers(2, 262144), st.integers(2, 262144))
def test_weights_keep_the_order(a: int, b: int) -> None:
    low, high = sorted((a, b))
    assert 1 <= cpu_weight(low) <= cpu_weight(high) <= 10000


@pytest.mark.parametrize(("weight", "converted"), [(10, 1), (1000, 10000), (500, 4950)])
def test_io_weights(weight: int, converted: int) -> None:
    assert io_weight(weight) == converted


@pytest.mark.parametrize(
    ("cpu", "text"),
    [
        (r.Cpu(quota=50000, period=100000), "50000 100000"),
        (r.Cpu(quota=50000), "50000 100000"),
        (r.Cpu(quota=-1, period=20000), "max 20000"),
        (r.Cpu(period=20000), "max 20000"),
    ],
)
def test_cpu_quota(cpu: r.Cpu, text: str) -> None:
    assert texts(r.Resources(cpu=cpu)) == [("cpu.max", text)]


def test_cpu() -> None:
    cpu = r.Cpu(shares=1024, burst=5, cpus="0", mems="0")
    assert texts(r.Resources(cpu=cpu)) == [
        ("cpu.weight", "100"),
        ("cpu.max.burst", "5"),
        ("cpuset.cpus", "0"),
        ("cpuset.mems", "0"),
    ]
    # An idle group has no weight of its own: the kernel refuses to set one.
    assert texts(r.Resources(cpu=r.Cpu(shares=1024, idle=1))) == [("cpu.idle", "1")]


def test_block_io() -> None:
    io = r.BlockIo(
        weight=500,
        weight_device=[r.WeightDevice(major=8, minor=0, weight=10)],
        throttle_read_bps_device=[r.ThrottleDevice(major=8, minor=0, rate=1)],
        throttle_write_iops_device=[r.ThrottleDevice(major=8, minor=0, rate=0)],
    )
    writes = plan(r.Resources(block_io=io))
    assert writes[0].files == ("io.bfq.weight", "io.weight")
    assert writes[0].texts == ("500", "default 4950")
    assert writes[1].texts == ("8:0 10", "8:0 1")
    assert [write.texts[0] for write in writes[2:]] == ["8:0 rbps=1", "8:0 wiops=max"]


def test_unified_comes_last_and_line_by_line() -> None:
    resources = r.Resources(
        pids=r.Pids(limit=5),
        unified={"pids.max": "7", "io.max": "8:0 rbps=1\n8:16 wbps=2", "cgroup.freeze": "0"},
    )
    assert texts(resources) == [
        ("pids.max", "5"),
        ("pids.max", "7"),
        ("io.max", "8:0 rbps=1"),
        ("io.max", "8:16 wbps=2"),
        ("cgroup.freeze", "0"),
    ]


@pytest.mark.parametrize("file", ["../x.y", "a/b.c", "", "nodot", ".hidden"])
def test_unified_stays_in_the_group(file: str) -> None:
    with pytest.raises(InvalidArgument):
        plan(r.Resources(unified={file: "1"}))


@pytest.mark.parametrize(
    "resources",
    [
        r.Resources(memory=r.Memory(swappiness=10)),
        r.Resources(memory=r.Memory(disable_oom_killer=True)),
        r.Resources(memory=r.Memory(kernel=10)),
        r.Resources(cpu=r.Cpu(realtime_runtime=1)),
        r.Resources(network=r.NetworkControl(class_id=1)),
        r.Resources(block_io=r.BlockIo(leaf_weight=10)),
    ],
)
def test_what_version_2_has_not_is_an_error(resources: r.Resources) -> None:
    with pytest.raises(Unsupported, match="version 2"):
        plan(resources)
