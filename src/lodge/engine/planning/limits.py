"""Limits: checked as Docker checks them, and turned into what a control group is told.

`check` changes the limits where Docker discards what the kernel can't do, and gives the warnings;
InvalidArgument has Docker's sentences, since people search for them.
"""

from __future__ import annotations

import os
import re
import stat

from lodge.engine.planning.defaults import MINIMUM_MEMORY
from lodge.engine.planning.host import HostFacts
from lodge.errors import InvalidArgument
from lodge.spec.container import Limits, ThrottleDevice
from lodge.spec.runtime import BlockIo, Cpu, Memory, Pids, Resources
from lodge.spec.runtime import ThrottleDevice as RuntimeThrottle
from lodge.spec.runtime import WeightDevice as RuntimeWeight

_PERIOD = 100_000
_ITEM = re.compile(r"(\d+)(?:-(\d+))?")


def check(limits: Limits, facts: HostFacts, *, update: bool = False) -> list[str]:
    """Refuse what is wrong, discard what the kernel can't do; gives a warning for each of these."""
    warnings: list[str] = []
    _check_memory(limits, facts, warnings, update=update)
    _check_oom_and_pids(limits, facts, warnings)
    _check_cpu(limits, facts, warnings)
    _check_cpuset(limits, facts, warnings)
    _check_block_io(limits, facts, warnings)
    return warnings


def _check_memory(limits: Limits, facts: HostFacts, warnings: list[str], *, update: bool) -> None:
    if limits.memory_swappiness == -1:
        limits.memory_swappiness = None
    if limits.memory != 0 and limits.memory < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if limits.memory > 0 and "memory" not in facts.controllers:
        warnings.append(
            "Your kernel does not support memory limit capabilities or the cgroup is not mounted."
            " Limitation discarded."
        )
        limits.memory, limits.memory_swap = 0, -1
    if limits.memory > 0 and limits.memory_swap != -1 and not facts.swap_limit:
        warnings.append(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted."
            " Memory limited without swap."
        )
        limits.memory_swap = -1
    if limits.memory > 0 and 0 < limits.memory_swap < limits.memory:
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    if limits.memory == 0 and limits.memory_swap > 0 and not update:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    if limits.memory_swappiness is not None:
        if facts.cgroup_version == 2:
            warnings.append(
                "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted."
                " Memory swappiness discarded."
            )
            limits.memory_swappiness = None
        elif not 0 <= limits.memory_swappiness <= 100:
            raise InvalidArgument(
                f"Invalid value: {limits.memory_swappiness}, valid memory swappiness range is 0-100"
            )
    if 0 < limits.memory_reservation < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if limits.memory > 0 and limits.memory_reservation > 0 and limits.memory < limits.memory_reservation:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")


def _check_oom_and_pids(limits: Limits, facts: HostFacts, warnings: list[str]) -> None:
    if limits.oom_kill_disable and facts.cgroup_version == 2:
        warnings.append("Your kernel does not support OomKillDisable. OomKillDisable discarded.")
        limits.oom_kill_disable = None
    if limits.oom_kill_disable and limits.memory == 0:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set,"
            " this can result in the system running out of resources."
        )
    if limits.pids_limit is not None and limits.pids_limit > 0 and "pids" not in facts.controllers:
        warnings.append(
            "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted."
            " PIDs limit discarded."
        )
        limits.pids_limit = None


def _check_cpu(limits: Limits, facts: HostFacts, warnings: list[str]) -> None:
    if limits.nano_cpus > 0 and limits.cpu_period > 0:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if limits.nano_cpus > 0 and limits.cpu_quota > 0:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if limits.nano_cpus and not 0 < limits.nano_cpus <= facts.cpus * 10**9:
        raise InvalidArgument(
            f"range of CPUs is from 0.01 to {facts.cpus}.00, as there are only {facts.cpus} CPUs available"
        )
    if limits.cpu_shares < 0:
        raise InvalidArgument(f"invalid CPU shares ({limits.cpu_shares}): value must be a positive integer")
    if limits.cpu_period and not 1000 <= limits.cpu_period <= 1_000_000:
        raise InvalidArgument(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < limits.cpu_quota < 1000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if (limits.cpu_realtime_period or limits.cpu_realtime_runtime) and not facts.realtime:
        raise InvalidArgument(
            "Your kernel does not support CPU real-time scheduler or the cgroup is not mounted"
        )
    if 0 < limits.cpu_realtime_period < limits.cpu_realtime_runtime:
        raise InvalidArgument("cpu real-time runtime cannot be higher than cpu real-time period")
    if limits.cpu_percent > 0:
        warnings.append("linux does not support CPU percent. Percent discarded.")
        limits.cpu_percent = 0


def _check_cpuset(limits: Limits, facts: HostFacts, warnings: list[str]) -> None:
    if (limits.cpuset_cpus or limits.cpuset_mems) and "cpuset" not in facts.controllers:
        warnings.append("Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.")
        limits.cpuset_cpus = limits.cpuset_mems = ""
    for text, there, what, kind in (
        (limits.cpuset_cpus, facts.cpu_list, "CPUs", "cpus"),
        (limits.cpuset_mems, facts.memory_nodes, "memory nodes", "mems"),
    ):
        if not parse_list(text, kind) <= parse_list(there, kind):
            raise InvalidArgument(
                f"Requested {what} are not available - requested {text}, available: {there}"
            )


def parse_list(text: str, kind: str = "cpus") -> set[int]:
    """The numbers of a list as "0-3,7"; InvalidArgument when it is none."""
    numbers: set[int] = set()
    for item in text.split(",") if text else ():
        match = _ITEM.fullmatch(item.strip())
        first = int(match[1]) if match else -1
        last = int(match[2] or match[1]) if match else -1
        if not match or last < first or last > 8192:
            raise InvalidArgument(f"Invalid value {text} for cpuset {kind}: invalid format: {text}")
        numbers.update(range(first, last + 1))
    return numbers


def _check_block_io(limits: Limits, facts: HostFacts, warnings: list[str]) -> None:
    if limits.blkio_weight and not 10 <= limits.blkio_weight <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    if limits.io_maximum_bandwidth or limits.io_maximum_iops:
        raise InvalidArgument(
            "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps"
        )
    if limits.blkio_weight and not facts.blkio_weight:
        warnings.append(
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
        )
        limits.blkio_weight = 0
    if limits.blkio_weight_device and not facts.blkio_weight:
        warnings.append(
            "Your kernel does not support Block I/O weight_device or the cgroup is not mounted."
            " Weight-device discarded."
        )
        limits.blkio_weight_device = None
    for device in limits.blkio_weight_device or ():
        if not 10 <= device.weight <= 1000:
            raise InvalidArgument(f"Range of blkio weight is from 10 to 1000: {device.path}")


def resources(limits: Limits) -> Resources:
    """What the control group is told; InvalidArgument for a device path that can't be used."""
    return Resources(memory=_memory(limits), cpu=_cpu(limits), pids=_pids(limits), block_io=_block_io(limits))


def _memory(limits: Limits) -> Memory | None:
    swap = limits.memory_swap
    memory = Memory(
        limit=limits.memory or None,
        reservation=limits.memory_reservation or None,
        swap=swap if swap > 0 or (swap == -1 and limits.memory) else None,
        swappiness=limits.memory_swappiness,
        disable_oom_killer=limits.oom_kill_disable or None,
    )
    return memory if memory != Memory() else None


def _cpu(limits: Limits) -> Cpu | None:
    quota, period = limits.cpu_quota or None, limits.cpu_period or None
    if limits.nano_cpus > 0:
        quota, period = limits.nano_cpus * _PERIOD // 10**9, _PERIOD
    cpu = Cpu(
        shares=limits.cpu_shares or None,
        quota=quota,
        period=period,
        realtime_period=limits.cpu_realtime_period or None,
        realtime_runtime=limits.cpu_realtime_runtime or None,
        cpus=limits.cpuset_cpus,
        mems=limits.cpuset_mems,
    )
    return cpu if cpu != Cpu() else None


def _pids(limits: Limits) -> Pids | None:
    if limits.pids_limit is None:
        return None
    return Pids(limit=limits.pids_limit if limits.pids_limit > 0 else -1)


def _block_io(limits: Limits) -> BlockIo | None:
    block_io = BlockIo(
        weight=limits.blkio_weight or None,
        weight_device=[
            RuntimeWeight(major=major, minor=minor, weight=device.weight)
            for device in limits.blkio_weight_device or ()
            for major, minor in [_numbers(device.path)]
        ],
        throttle_read_bps_device=_throttles(limits.blkio_device_read_bps),
        throttle_write_bps_device=_throttles(limits.blkio_device_write_bps),
        throttle_read_iops_device=_throttles(limits.blkio_device_read_iops),
        throttle_write_iops_device=_throttles(limits.blkio_device_write_iops),
    )
    return block_io if block_io != BlockIo() else None


def _throttles(devices: list[ThrottleDevice] | None) -> list[RuntimeThrottle]:
    return [
        RuntimeThrottle(major=major, minor=minor, rate=device.rate)
        for device in devices or ()
        for major, minor in [_numbers(device.path)]
    ]


def _numbers(path: str) -> tuple[int, int]:
    try:
        info = os.stat(path)
    except OSError as error:
        raise InvalidArgument(f"invalid block device {path}: {error.strerror}") from error
    if not stat.S_ISBLK(info.st_mode):
        raise InvalidArgument(f"{path} is not a block device")
    return os.major(info.st_rdev), os.minor(info.st_rdev)
