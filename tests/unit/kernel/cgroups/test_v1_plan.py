"""Version 1: which file gets which text."""

import pytest

from lodge.errors import InvalidArgument, Unsupported
from lodge.kernel.cgroups.v1_plan import limits, plan
from lodge.spec import runtime as r


def texts(resources: r.Resources) -> dict[str, str]:
    return {write.files[0]: write.text for write in plan(resources)}


def test_nothing_asked_nothing_written() -> None:
    assert plan(r.Resources()) == []
    assert plan(r.Resources(memory=r.Memory(), cpu=r.Cpu(), pids=r.Pids(), block_io=r.BlockIo())) == []


def test_cpu() -> None:
    cpu = r.Cpu(shares=512, quota=50000, period=100000, burst=0, cpus="0-1", mems="0", idle=0)
    assert texts(r.Resources(cpu=cpu)) == {
        "cpu.shares": "512",
        "cpu.cfs_quota_us": "50000",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_burst_us": "0",
        "cpuset.cpus": "0-1",
        "cpuset.mems": "0",
        "cpu.idle": "0",
    }
    realtime = r.Cpu(realtime_runtime=950000, realtime_period=1000000)
    assert list(texts(r.Resources(cpu=realtime))) == ["cpu.rt_period_us", "cpu.rt_runtime_us"]


@pytest.mark.parametrize("shares", [1, 262145])
def test_shares_out_of_range_are_refused(shares: int) -> None:
    with pytest.raises(InvalidArgument, match="allowed cpu-shares is"):
        plan(r.Resources(cpu=r.Cpu(shares=shares)))


def test_memory() -> None:
    memory = r.Memory(
        limit=1,
        reservation=2,
        kernel=3,
        kernel_tcp=4,
        swappiness=0,
        disable_oom_killer=True,
        use_hierarchy=True,
    )
    assert texts(r.Resources(memory=memory)) == {
        "memory.soft_limit_in_bytes": "2",
        "memory.kmem.limit_in_bytes": "3",
        "memory.kmem.tcp.limit_in_bytes": "4",
        "memory.use_hierarchy": "1",
        "memory.oom_control": "1",
        "memory.swappiness": "0",
    }


@pytest.mark.parametrize(
    ("limit", "swap", "expected"),
    [
        (None, None, (None, None)),
        (10, 20, (10, 20)),
        (-1, None, (-1, -1)),
        (10, -1, (10, -1)),
        (0, 0, (None, None)),
    ],
)
def test_memory_limits(limit: int | None, swap: int | None, expected: tuple[int | None, int | None]) -> None:
    assert limits(r.Memory(limit=limit, swap=swap)) == expected


@pytest.mark.parametrize(("limit", "text"), [(10, "10"), (0, "max"), (-1, "max")])
def test_pids(limit: int, text: str) -> None:
    assert texts(r.Resources(pids=r.Pids(limit=limit))) == {"pids.max": text}


def test_block_io() -> None:
    io = r.BlockIo(
        weight=500,
        leaf_weight=300,
        weight_device=[r.WeightDevice(major=8, minor=0, weight=100, leaf_weight=200)],
        throttle_read_bps_device=[r.ThrottleDevice(major=8, minor=0, rate=1)],
        throttle_write_bps_device=[r.ThrottleDevice(major=8, minor=0, rate=2)],
        throttle_read_iops_device=[r.ThrottleDevice(major=8, minor=0, rate=3)],
        throttle_write_iops_device=[r.ThrottleDevice(major=8, minor=16, rate=4)],
    )
    assert texts(r.Resources(block_io=io)) == {
        "blkio.weight": "500",
        "blkio.leaf_weight": "300",
        "blkio.weight_device": "8:0 100",
        "blkio.leaf_weight_device": "8:0 200",
        "blkio.throttle.read_bps_device": "8:0 1",
        "blkio.throttle.write_bps_device": "8:0 2",
        "blkio.throttle.read_iops_device": "8:0 3",
        "blkio.throttle.write_iops_device": "8:16 4",
    }
    assert plan(r.Resources(block_io=io))[0].files == ("blkio.weight", "blkio.bfq.weight")


def test_the_rest() -> None:
    resources = r.Resources(
        hugepage_limits=[r.HugepageLimit(page_size="2MB", limit=4096)],
        network=r.NetworkControl(class_id=1048577, priorities=[r.InterfacePriority(name="eth0", priority=5)]),
        rdma={"mlx5_1": r.Rdma(hca_handles=3, hca_objects=10000), "mlx4_0": r.Rdma(hca_objects=1)},
    )
    assert [(write.files[0], write.text) for write in plan(resources)] == [
        ("hugetlb.2MB.limit_in_bytes", "4096"),
        ("hugetlb.2MB.rsvd.limit_in_bytes", "4096"),
        ("net_cls.classid", "1048577"),
        ("net_prio.ifpriomap", "eth0 5"),
        ("rdma.max", "mlx5_1 hca_handle=3 hca_object=10000"),
        ("rdma.max", "mlx4_0 hca_object=1"),
    ]


def test_unified_is_for_version_2() -> None:
    with pytest.raises(Unsupported, match="version 1"):
        plan(r.Resources(unified={"memory.high": "1"}))
