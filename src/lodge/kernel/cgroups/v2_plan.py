"""Version 2, the pure part: which file gets which text, with the version 1 words of the OCI config converted.

Source: runtime-spec config-linux.md and the kernel's Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from msgspec import Struct

from lodge.errors import InvalidArgument, Unsupported
from lodge.kernel.cgroups.v1_plan import rdma_text
from lodge.spec.runtime import BlockIo, Cpu, Memory, Resources

_DEFAULT_PERIOD = 100_000


class Write(Struct, frozen=True):
    """One text for one file; of `files` the first that exists is meant, in an `optional` one none may.

    `texts` go with `files` one to one: the same wish may be spelled differently in each.
    """

    files: tuple[str, ...]
    texts: tuple[str, ...]
    optional: bool = False


def plan(resources: Resources) -> list[Write]:
    """All writes in order; `unified` comes last and wins. Unsupported for what version 2 does not have."""
    writes: list[Write] = []
    if resources.memory is not None:
        writes.extend(_memory(resources.memory))
    if resources.cpu is not None:
        writes.extend(_cpu(resources.cpu))
    if resources.pids is not None and resources.pids.limit is not None:
        limit = resources.pids.limit
        writes.append(_one("pids.max", str(limit) if limit > 0 else "max"))
    if resources.block_io is not None:
        writes.extend(_block_io(resources.block_io))
    writes.extend(_rest(resources))
    return writes


def swap_max(limit: int | None, swap: int | None) -> int | None:
    """Version 2's swap alone from version 1's memory plus swap; -1 for no limit, None to leave as it is."""
    if not swap:
        return -1 if limit == -1 else None
    if swap == -1:
        return -1
    if not limit or limit == -1:
        raise InvalidArgument("a swap limit needs a memory limit")
    if swap < limit:
        raise InvalidArgument(f"the limit of memory plus swap {swap} is below the memory limit {limit}")
    return swap - limit


def cpu_weight(shares: int) -> int:
    """cpu.weight (1 to 10000) from shares (2 to 262144); the default 1024 becomes the default 100.

    A parabola through (2, 1), (1024, 100), (262144, 10000) on logarithmic scales, as the OCI runtimes agreed.
    """
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    log = math.log2(shares)
    return math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))


def io_weight(weight: int) -> int:
    """io.weight (1 to 10000) from version 1's weight (10 to 1000)."""
    return 1 + (weight - 10) * 9999 // 990


def _one(file: str, text: str, *, optional: bool = False) -> Write:
    return Write((file,), (text,), optional)


def _limit(value: int) -> str:
    return "max" if value == -1 else str(value)


def _memory(memory: Memory) -> Iterator[Write]:
    if memory.disable_oom_killer:
        raise Unsupported("the OOM killer can't be disabled with control groups version 2")
    if memory.swappiness is not None:
        raise Unsupported("swappiness can't be set with control groups version 2")
    if memory.kernel or memory.kernel_tcp:
        raise Unsupported("kernel memory can't be limited with control groups version 2")
    swap = swap_max(memory.limit, memory.swap)
    if swap is not None:
        # Without swap in the kernel there is nothing to limit, and "no limit" or "none" come true by
        # themselves.
        yield _one("memory.swap.max", _limit(swap), optional=swap <= 0)
    if memory.limit:
        yield _one("memory.max", _limit(memory.limit))
    if memory.reservation:
        yield _one("memory.low", _limit(memory.reservation))


def _cpu(cpu: Cpu) -> Iterator[Write]:
    if cpu.realtime_period or cpu.realtime_runtime:
        raise Unsupported("realtime CPU time can't be limited with control groups version 2")
    if cpu.idle is not None:
        yield _one("cpu.idle", str(cpu.idle))
    if cpu.shares and not cpu.idle:
        yield _one("cpu.weight", str(cpu_weight(cpu.shares)))
    if cpu.quota or cpu.period:
        quota = "max" if cpu.quota is None or cpu.quota <= 0 else str(cpu.quota)
        yield _one("cpu.max", f"{quota} {cpu.period or _DEFAULT_PERIOD}")
    if cpu.burst is not None:
        yield _one("cpu.max.burst", str(cpu.burst))
    if cpu.cpus:
        yield _one("cpuset.cpus", cpu.cpus)
    if cpu.mems:
        yield _one("cpuset.mems", cpu.mems)


def _block_io(block_io: BlockIo) -> Iterator[Write]:
    if block_io.leaf_weight or any(device.leaf_weight for device in block_io.weight_device):
        raise Unsupported("leaf weights don't exist with control groups version 2")
    files = ("io.bfq.weight", "io.weight")
    if block_io.weight:
        yield Write(files, (str(block_io.weight), f"default {io_weight(block_io.weight)}"))
    for device in block_io.weight_device:
        if device.weight:
            name = f"{device.major}:{device.minor}"
            yield Write(files, (f"{name} {device.weight}", f"{name} {io_weight(device.weight)}"))
    rates = (
        ("rbps", block_io.throttle_read_bps_device),
        ("wbps", block_io.throttle_write_bps_device),
        ("riops", block_io.throttle_read_iops_device),
        ("wiops", block_io.throttle_write_iops_device),
    )
    for word, devices in rates:
        for rate in devices:
            yield _one("io.max", f"{rate.major}:{rate.minor} {word}={rate.rate or 'max'}")


def _rest(resources: Resources) -> Iterator[Write]:
    for page in resources.hugepage_limits:
        yield _one(f"hugetlb.{page.page_size}.max", str(page.limit))
        yield _one(f"hugetlb.{page.page_size}.rsvd.max", str(page.limit), optional=True)
    network = resources.network
    if network is not None and (network.class_id is not None or network.priorities):
        raise Unsupported("network classes and priorities don't exist with control groups version 2")
    for device, limit in resources.rdma.items():
        yield _one("rdma.max", rdma_text(device, limit.hca_handles, limit.hca_objects))
    for file, text in resources.unified.items():
        if "/" in file or "." not in file or file.startswith("."):
            raise InvalidArgument(f"not a control group file: {file!r}")
        # One write for each line: that is how the kernel reads io.max and its like.
        for line in text.splitlines() or [text]:
            yield _one(file, line)
