"""How much memory and how many processors a machine gets. Pure.

A container without limits may use all of its host; its machine gets a generous share, of which it only takes
what it touches (and gives back what it frees: the balloon reports free pages). With a limit the machine gets
that and what its kernel needs; the limit itself holds in the machine's control group, as in a container.
Sizes go by steps, so that few frozen machines serve all.
"""

from __future__ import annotations

from lodge.errors import InvalidArgument
from lodge.spec.runtime import Resources

_MIB = 1 << 20
_LARGEST_DEFAULT = 2048
_SMALLEST = 128
# The kernel, its page tables, the agent: measured, with room.
_OWN = 72
_MOST_PROCESSORS = 64


def memory(resources: Resources | None, host_bytes: int) -> int:
    """MiB for a machine; InvalidArgument for a limit that is more than the host has."""
    limit = resources.memory.limit if resources is not None and resources.memory is not None else None
    host = host_bytes // _MIB
    if not limit or limit < 0:
        return step_down(max(_SMALLEST, min(host // 2, _LARGEST_DEFAULT)))
    wanted = -(-limit // _MIB)
    if wanted > host:
        raise InvalidArgument(f"a machine of {wanted} MiB is more than this host's {host} MiB")
    return step_up(wanted + wanted // 32 + _OWN)


def processors(resources: Resources | None, host: int, *, emulated: bool) -> int:
    """Virtual processors: as many as the limit is worth; without one the host's, emulated one.

    An emulated processor pays for each other one in synchronisation, so more than one must be asked for.
    """
    cpu = resources.cpu if resources is not None else None
    if cpu is not None and cpu.quota and cpu.quota > 0:
        return max(1, min(-(-cpu.quota // (cpu.period or 100_000)), host, _MOST_PROCESSORS))
    if cpu is not None and cpu.cpus:
        return max(1, min(_count(cpu.cpus), host, _MOST_PROCESSORS))
    return 1 if emulated else min(host, _MOST_PROCESSORS)


def _count(ranges: str) -> int:
    """How many processors a list as 0-3,7 names."""
    count = 0
    for part in ranges.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdecimal():
            count += int(last) - int(first) + 1 if last.isdecimal() else 1
    return count


def step_up(mib: int) -> int:
    """The next size: 128, 192, 256, 384, 512, 768, ..."""
    size = _SMALLEST
    while size < mib:
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return size


def step_down(mib: int) -> int:
    """The largest size that is not more."""
    size = _SMALLEST
    while (following := step_up(size + 1)) <= mib:
        size = following
    return size
