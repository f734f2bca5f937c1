"""What a control group can do, whichever version the host has.

Vocabulary. A *hierarchy* is all of the host's cgroup file systems seen as one tree. A *group* is a
directory of that tree, named by one path such as `/lodge/3f2c...`; on version 1 it is one directory in each
controller's file system. *Controllers* are cpu, memory, pids and so on.

Life cycle. `create` makes the group, `apply` and `set_devices` say what it grants, then a process comes in by
`add` or `enter`, and its children with it. When all have ended (or `kill` has made them), `remove` takes the
group and groups that the container made inside it away.

    group = detect().group("/lodge/example")
    group.create()
    group.apply(Resources(pids=Pids(limit=100)))
    group.add(os.getpid())

Errors are OSError with the path of the file; lodge.errors.Unsupported says that this version has no such
thing. All calls are blocking and short, except that `freeze`, `kill` and `remove` wait for processes,
bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from lodge.spec.runtime import DeviceRule, Resources


class CpuStats(Struct, frozen=True):
    """Nanoseconds of CPU time since the group was made; `per_cpu` is empty where nobody counts it."""

    total: int = 0
    user: int = 0
    system: int = 0
    per_cpu: tuple[int, ...] = ()
    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class MemoryStats(Struct, frozen=True):
    """Bytes. `limit` is None for none; `stat` is the kernel's memory.stat as it is."""

    usage: int = 0
    peak: int = 0
    limit: int | None = None
    failures: int = 0
    swap_limit: int | None = None
    stat: dict[str, int] = {}


class PidsStats(Struct, frozen=True):
    """Tasks; `limit` is None for none."""

    current: int = 0
    limit: int | None = None


class BlockDeviceFigure(Struct, frozen=True):
    """What one device did: `operation` is "read", "write", "sync", "async", "discard" or "total"."""

    major: int
    minor: int
    operation: str
    value: int


class CgroupStats(Struct, frozen=True):
    """All that `docker stats` shows of a group; figures of a missing controller are 0 or empty."""

    cpu: CpuStats = CpuStats()
    memory: MemoryStats = MemoryStats()
    pids: PidsStats = PidsStats()
    io_bytes: tuple[BlockDeviceFigure, ...] = ()
    io_operations: tuple[BlockDeviceFigure, ...] = ()


class Cgroup(Protocol):
    """One group. The object is a name: it holds nothing open and may outlive the directory."""

    @property
    def path(self) -> str:
        """The name in the hierarchy, absolute."""

    def create(self) -> None:
        """Make the group and its missing parents; no error when it is there already."""

    def exists(self) -> bool:
        """Whether the group is there."""

    def paths(self) -> dict[str, str]:
        """The directories by controller; on version 2 the one directory under the key ""."""

    def add(self, pid: int) -> None:
        """Move a process with all its threads in."""

    def enter(self) -> None:
        """Move the calling, single-threaded process in: on version 1 much cheaper than `add`."""

    def prepare_entry(self) -> list[int]:
        """`enter` in two steps: files into each of which a single-threaded process writes b"0" to come in.

        For a child that can no longer resolve names; close-on-exec, the caller's to close.
        """

    def apply(self, resources: Resources) -> None:
        """Set what is given and leave the rest; device rules are for `set_devices`."""

    def set_devices(self, rules: Sequence[DeviceRule]) -> None:
        """Grant exactly what the rules say, later ones win; what none names is refused."""

    def freeze(self) -> None:
        """Stop all processes and wait until they stand; TimeoutError when they don't within seconds."""

    def thaw(self) -> None:
        """Let them go on."""

    def frozen(self) -> bool:
        """Whether they stand, or are to."""

    def pids(self, recursive: bool = True) -> list[int]:
        """The processes in the group, with those of groups inside it."""

    def stats(self) -> CgroupStats:
        """The figures of now."""

    def oom_kills(self) -> int:
        """How many processes the kernel killed for want of memory in this group."""

    def oom_event_fd(self) -> int:
        """A descriptor, the caller's to close, that becomes readable when memory ran out or the group went.

        Read it (at least 8 bytes, up to 4096) before waiting again, then ask `oom_kills`.
        """

    def kill(self) -> None:
        """SIGKILL all processes in it and below, also those that fork meanwhile; wait for their end; thaw."""

    def remove(self) -> None:
        """Remove the group and groups inside it; no error when it is gone. EBUSY when processes stay."""


class Hierarchy(Protocol):
    """The host's tree of groups."""

    @property
    def version(self) -> int:
        """1 or 2."""

    @property
    def controllers(self) -> frozenset[str]:
        """What can be limited here: "cpu", "memory", ..., on version 1 also "name=systemd"."""

    @property
    def swap_limits(self) -> bool:
        """Whether swap can be limited."""

    def group(self, path: str) -> Cgroup:
        """The group of a name, whether it exists or not; ValueError for a name with "." or ".." in it."""

    def own_path(self) -> str:
        """The name of the group that the caller is in (on version 1: of the memory or first controller)."""
