"""Version 1, the pure part: which file of which controller gets which text.

Source: runtime-spec config-linux.md ("Control groups") and the kernel's Documentation/admin-guide/cgroup-v1.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lodge.errors import InvalidArgument, Unsupported
from lodge.spec.runtime import BlockIo, Cpu, Memory, Resources, ThrottleDevice

# kernel/sched/sched.h: MIN_SHARES and MAX_SHARES.
_LEAST_SHARES, _MOST_SHARES = 2, 262144


class Write(Struct, frozen=True):
    """One text for one file; of `files` the first that exists is meant, in an `optional` one none may."""

    controller: str
    files: tuple[str, ...]
    text: str
    optional: bool = False


def plan(resources: Resources) -> list[Write]:
    """All writes but those of memory limits (their order depends on what is set now: see `limits`)."""
    if resources.unified:
        raise Unsupported(
            "the host's control groups are version 1: 'unified' settings need version 2",
            hint="use the memory, cpu, pids and blockIO settings instead",
        )
    writes: list[Write] = []
    if resources.memory is not None:
        writes.extend(_memory(resources.memory))
    if resources.cpu is not None:
        writes.extend(_cpu(resources.cpu))
    if resources.pids is not None and resources.pids.limit is not None:
        limit = resources.pids.limit
        writes.append(Write("pids", ("pids.max",), str(limit) if limit > 0 else "max"))
    if resources.block_io is not None:
        writes.extend(_block_io(resources.block_io))
    writes.extend(_rest(resources))
    return writes


def limits(memory: Memory) -> tuple[int | None, int | None]:
    """(memory, memory plus swap) in bytes, -1 for none, None to leave as it is."""
    limit = memory.limit or None
    swap = memory.swap or None
    # No limit of memory allows none of memory and swap together: the kernel keeps the second above the first.
    if limit == -1 and swap is None:
        swap = -1
    return limit, swap


def _memory(memory: Memory) -> Iterator[Write]:
    numbers = (
        (memory.reservation, "memory.soft_limit_in_bytes"),
        (memory.kernel, "memory.kmem.limit_in_bytes"),
        (memory.kernel_tcp, "memory.kmem.tcp.limit_in_bytes"),
    )
    for value, name in numbers:
        if value:
            yield Write("memory", (name,), str(value))
    if memory.use_hierarchy:
        yield Write("memory", ("memory.use_hierarchy",), "1")
    if memory.disable_oom_killer:
        yield Write("memory", ("memory.oom_control",), "1")
    if memory.swappiness is not None:
        yield Write("memory", ("memory.swappiness",), str(memory.swappiness))


def _cpu(cpu: Cpu) -> Iterator[Write]:
    if cpu.idle is not None:
        yield Write("cpu", ("cpu.idle",), str(cpu.idle))
    if cpu.shares:
        yield Write("cpu", ("cpu.shares",), str(_shares(cpu.shares)))
    if cpu.realtime_period:
        yield Write("cpu", ("cpu.rt_period_us",), str(cpu.realtime_period))
    if cpu.realtime_runtime:
        yield Write("cpu", ("cpu.rt_runtime_us",), str(cpu.realtime_runtime))
    if cpu.period:
        yield Write("cpu", ("cpu.cfs_period_us",), str(cpu.period))
    if cpu.quota:
        yield Write("cpu", ("cpu.cfs_quota_us",), str(cpu.quota))
    if cpu.burst is not None:
        yield Write("cpu", ("cpu.cfs_burst_us",), str(cpu.burst))
    if cpu.cpus:
        yield Write("cpuset", ("cpuset.cpus",), cpu.cpus)
    if cpu.mems:
        yield Write("cpuset", ("cpuset.mems",), cpu.mems)


def _shares(shares: int) -> int:
    """The kernel would take another number for one out of range, and say nothing."""
    if shares < _LEAST_SHARES:
        raise InvalidArgument(f"the minimum allowed cpu-shares is {_LEAST_SHARES}")
    if shares > _MOST_SHARES:
        raise InvalidArgument(f"the maximum allowed cpu-shares is {_MOST_SHARES}")
    return shares


def _block_io(block_io: BlockIo) -> Iterator[Write]:
    if block_io.weight:
        yield Write("blkio", ("blkio.weight", "blkio.bfq.weight"), str(block_io.weight))
    if block_io.leaf_weight:
        yield Write("blkio", ("blkio.leaf_weight",), str(block_io.leaf_weight))
    for device in block_io.weight_device:
        name = f"{device.major}:{device.minor}"
        if device.weight:
            files = ("blkio.weight_device", "blkio.bfq.weight_device")
            yield Write("blkio", files, f"{name} {device.weight}")
        if device.leaf_weight:
            yield Write("blkio", ("blkio.leaf_weight_device",), f"{name} {device.leaf_weight}")
    rates: tuple[tuple[str, list[ThrottleDevice]], ...] = (
        ("read_bps", block_io.throttle_read_bps_device),
        ("write_bps", block_io.throttle_write_bps_device),
        ("read_iops", block_io.throttle_read_iops_device),
        ("write_iops", block_io.throttle_write_iops_device),
    )
    for kind, devices in rates:
        for rate in devices:
            text = f"{rate.major}:{rate.minor} {rate.rate}"
            yield Write("blkio", (f"blkio.throttle.{kind}_device",), text)


def _rest(resources: Resources) -> Iterator[Write]:
    for page in resources.hugepage_limits:
        name = f"hugetlb.{page.page_size}"
        yield Write("hugetlb", (f"{name}.limit_in_bytes",), str(page.limit))
        # Reservations have a limit of their own since Linux 5.7: without it mmap could fail only at a fault.
        yield Write("hugetlb", (f"{name}.rsvd.limit_in_bytes",), str(page.limit), optional=True)
    network = resources.network
    if network is not None:
        if network.class_id is not None:
            yield Write("net_cls", ("net_cls.classid",), str(network.class_id))
        for entry in network.priorities:
            yield Write("net_prio", ("net_prio.ifpriomap",), f"{entry.name} {entry.priority}")
    for device, limit in resources.rdma.items():
        yield Write("rdma", ("rdma.max",), rdma_text(device, limit.hca_handles, limit.hca_objects))


def rdma_text(device: str, handles: int | None, objects: int | None) -> str:
    """A line of rdma.max, the same on both versions."""
    words = [device]
    if handles is not None:
        words.append(f"hca_handle={handles}")
    if objects is not None:
        words.append(f"hca_object={objects}")
    return " ".join(words)
