"""Control groups version 1: one directory in each controller's file system, kept in step.

The hot path of a container start, so: absolute names, one mkdir and one write for each mount, parents
looked at once. Plans come from `v1_plan`, figures from `v1_stats`, device lines from `devices`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from ctypes import c_uint

from msgspec import Struct

from lodge.errors import Unsupported
from lodge.kernel.cgroups import files, tree
from lodge.kernel.cgroups.contract import CgroupStats
from lodge.kernel.cgroups.devices import reduce_rules, v1_transition, v1_writes
from lodge.kernel.cgroups.v1_plan import Write, limits, plan
from lodge.kernel.cgroups.v1_stats import read_stats
from lodge.kernel.syscalls import check, libc
from lodge.spec.runtime import DeviceRule, Memory, Resources

# Controllers whose groups take settings from their parents.
_INHERITED = frozenset(("cpuset", "memory"))
_FREEZE_SECONDS = 5.0
_KILL_SECONDS = 10.0
_EFD_CLOEXEC_NONBLOCK = os.O_CLOEXEC | os.O_NONBLOCK


class V1Mount(Struct, frozen=True):
    """One cgroup file system and the controllers that share it ("cpu" and "cpuacct" often do).

    `root` is the group that the mount shows at its top: in a container often not "/".
    """

    directory: str
    controllers: tuple[str, ...]
    root: str = "/"


class V1Hierarchy:
    """All version 1 mounts of the host as one tree; implements `contract.Hierarchy`."""

    version = 1

    def __init__(self, mounts: Iterable[V1Mount]) -> None:
        self.mounts = tuple(mounts)
        self.controllers = frozenset(name for mount in self.mounts for name in mount.controllers)
        self._ready: set[str] = set()

    @property
    def swap_limits(self) -> bool:
        """Whether the memory controller counts swap (swapaccount)."""
        root = self.directory_of("memory")
        # The root group has no limit files on newer kernels, but any group with limits has both.
        return root is not None and (
            files.exists(f"{root}/memory.memsw.usage_in_bytes")
            or files.exists(f"{root}/memory.memsw.limit_in_bytes")
        )

    def directory_of(self, controller: str) -> str | None:
        """The root directory of a controller."""
        for mount in self.mounts:
            if controller in mount.controllers:
                return mount.directory
        return None

    def group(self, path: str) -> V1Cgroup:
        """See the contract."""
        return V1Cgroup(self, tree.normalize(path))

    def own_path(self) -> str:
        """See the contract."""
        mount = next((m for m in self.mounts if "memory" in m.controllers), self.mounts[0])
        for line in files.read("/proc/self/cgroup").splitlines():
            _, names, path = line.split(":", 2)
            if mount.controllers[0] in names.split(","):
                return tree.below(mount.root, path)
        return "/"

    def make(self, mount: V1Mount, path: str) -> bool:
        """Make one directory, and its parents when they are missing; False when it was there."""
        directory = mount.directory + path
        parent = os.path.dirname(path)
        key = mount.directory + parent
        # Of other controllers the mkdir itself tells whether the parent is there.
        if parent != "/" and _INHERITED & set(mount.controllers) and key not in self._ready:
            self._prepare(mount, parent)
            self._ready.add(key)
        try:
            os.mkdir(directory, 0o755)
        except FileExistsError:
            return False
        except FileNotFoundError:
            self._prepare(mount, parent)
            os.mkdir(directory, 0o755)
        if parent == "/" and "cpuset" in mount.controllers:
            _copy_cpuset(mount.directory, directory)
        return True

    def _prepare(self, mount: V1Mount, path: str) -> None:
        """Make a parent such that its children can hold processes at once."""
        above, directory = mount.directory, mount.directory
        for part in path.split("/")[1:]:
            above, directory = directory, f"{directory}/{part}"
            try:
                os.mkdir(directory, 0o755)
            except FileExistsError:
                pass
            if "cpuset" in mount.controllers:
                _copy_cpuset(above, directory)
                # Children get a copy of these sets at birth, which saves two writes for each container.
                files.write(f"{directory}/cgroup.clone_children", "1")
            if "memory" in mount.controllers and files.read_or(f"{directory}/memory.use_hierarchy") == "0\n":
                files.write(f"{directory}/memory.use_hierarchy", "1")


class V1Cgroup:
    """One group; implements `contract.Cgroup`."""

    def __init__(self, hierarchy: V1Hierarchy, path: str) -> None:
        self.path = path
        self._hierarchy = hierarchy
        self._fresh = False

    def create(self) -> None:
        """See the contract."""
        for mount in self._hierarchy.mounts:
            made = self._hierarchy.make(mount, self.path)
            if "devices" in mount.controllers:
                self._fresh = made

    def exists(self) -> bool:
        """Whether it exists in any controller: a half-removed group does."""
        return any(files.exists(directory) for directory in self._directories())

    def paths(self) -> dict[str, str]:
        """See the contract."""
        return {
            controller: mount.directory + self.path
            for mount in self._hierarchy.mounts
            for controller in mount.controllers
        }

    def add(self, pid: int) -> None:
        """See the contract."""
        for directory in self._directories():
            files.write(f"{directory}/cgroup.procs", str(pid))

    def enter(self) -> None:
        """Join through `tasks` with pid 0: the one way that spares the kernel its global lock.

        Moving a whole process takes cgroup_threadgroup_rwsem for writing, which first waits for an RCU grace
        period (5 to 20 ms); the calling thread alone needs none (kernel/cgroup/cgroup.c, Linux 5.15).
        """
        for directory in self._directories():
            files.write(f"{directory}/tasks", "0")

    def prepare_entry(self) -> list[int]:
        """See the contract."""
        fds: list[int] = []
        try:
            fds.extend(files.open_for_writing(f"{directory}/tasks") for directory in self._directories())
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        return fds

    def apply(self, resources: Resources) -> None:
        """See the contract."""
        writes = plan(resources)
        if resources.memory is not None:
            self._set_memory_limits(resources.memory)
        later: list[Write] = []
        for write in writes:
            try:
                self._perform(write)
            except OSError as error:
                # A shorter period may need the new quota first.
                if error.errno != errno.EINVAL or write.files[0] != "cpu.cfs_period_us":
                    raise
                later.append(write)
        for write in later:
            self._perform(write)

    def set_devices(self, rules: Sequence[DeviceRule]) -> None:
        """See the contract."""
        directory = self._directory("devices")
        policy = reduce_rules(rules)
        if self._fresh:
            writes = v1_writes(policy)
        else:
            writes = v1_transition(files.read(f"{directory}/devices.list"), policy)
        for name, lines in writes:
            files.write_all(f"{directory}/{name}", lines)

    def freeze(self) -> None:
        """See the contract."""
        state = f"{self._directory('freezer')}/freezer.state"
        try:
            for _ in tree.pauses(_FREEZE_SECONDS):
                # Each write takes up processes that were born since the last one.
                files.write(state, "FROZEN")
                if files.read(state).strip() == "FROZEN":
                    return
        except BaseException:
            files.write(state, "THAWED")
            raise
        files.write(state, "THAWED")
        raise TimeoutError(errno.ETIMEDOUT, "processes could not be frozen", state)

    def thaw(self) -> None:
        """See the contract."""
        files.write(f"{self._directory('freezer')}/freezer.state", "THAWED")

    def frozen(self) -> bool:
        """See the contract."""
        if "freezer" not in self._hierarchy.controllers:
            return False
        return files.read_or(f"{self._directory('freezer')}/freezer.state").strip() in ("FROZEN", "FREEZING")

    def pids(self, recursive: bool = True) -> list[int]:
        """See the contract."""
        return tree.pids(self._main(), recursive)

    def stats(self) -> CgroupStats:
        """See the contract."""
        return read_stats(self.paths())

    def oom_kills(self) -> int:
        """See the contract; 0 before Linux 4.13, which did not count."""
        return files.read_table(f"{self._directory('memory')}/memory.oom_control").get("oom_kill", 0)

    def oom_event_fd(self) -> int:
        """See the contract: an eventfd registered in cgroup.event_control."""
        directory = self._directory("memory")
        event = check(libc.eventfd(c_uint(0), _EFD_CLOEXEC_NONBLOCK))
        try:
            control = os.open(f"{directory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            try:
                files.write(f"{directory}/cgroup.event_control", f"{event} {control}")
            finally:
                os.close(control)
        except BaseException:
            os.close(event)
            raise
        return event

    def kill(self) -> None:
        """See the contract: freeze, signal, thaw, until the group is empty."""
        # SAFETY: signals by pid only while the processes stand frozen and can't be replaced by others.
        directory = self._main()
        for _ in tree.pauses(_KILL_SECONDS):
            if not tree.pids(directory, True):
                break
            self._kill_once(directory)
        else:
            raise TimeoutError(errno.ETIMEDOUT, "processes did not end after SIGKILL", directory)
        if self.frozen():
            self.thaw()

    def remove(self) -> None:
        """See the contract; every controller is tried before the first failure is raised."""
        failure: OSError | None = None
        deadline = tree.removal_deadline()
        for directory in self._directories():
            try:
                os.rmdir(directory)
            except FileNotFoundError:
                continue
            except OSError:
                try:
                    tree.remove(directory, deadline)
                except OSError as error:
                    failure = failure or error
        if failure is not None:
            raise failure

    def _kill_once(self, directory: str) -> None:
        if "freezer" not in self._hierarchy.controllers:
            tree.kill_running(directory)
            return
        try:
            self.freeze()
        except TimeoutError:
            tree.kill_running(directory)
            return
        try:
            tree.kill_frozen(directory)
        finally:
            self.thaw()

    def _perform(self, write: Write) -> None:
        directory = self._directory(write.controller)
        names = [name for name in write.files if files.exists(f"{directory}/{name}")]
        if not names and write.optional:
            return
        files.write(f"{directory}/{(names or list(write.files))[0]}", write.text)

    def _set_memory_limits(self, memory: Memory) -> None:
        """Set memory and memory+swap in the order that never lets the second fall below the first."""
        limit, swap = limits(memory)
        steps = []
        if limit is not None:
            steps.append(("memory.limit_in_bytes", limit))
        if swap is not None:
            steps.append(("memory.memsw.limit_in_bytes", swap))
        if not steps:
            return
        directory = self._directory("memory")
        if memory.check_before_update and limit is not None and limit > 0:
            usage = files.read_number(f"{directory}/memory.usage_in_bytes")
            if usage > limit:
                raise _too_small(directory, limit)
        try:
            try:
                files.write(f"{directory}/{steps[0][0]}", str(steps[0][1]))
            except OSError as error:
                if error.errno != errno.EINVAL or len(steps) < 2:
                    raise
                steps.reverse()
                files.write(f"{directory}/{steps[0][0]}", str(steps[0][1]))
            for name, value in steps[1:]:
                files.write(f"{directory}/{name}", str(value))
        except OSError as error:
            if error.errno == errno.EBUSY and limit is not None:
                raise _too_small(directory, limit) from None
            raise

    def _directories(self) -> list[str]:
        return [mount.directory + self.path for mount in self._hierarchy.mounts]

    def _main(self) -> str:
        """The directory whose list of processes counts: the freezer's, so that killing and freezing agree."""
        root = self._hierarchy.directory_of("freezer") or self._hierarchy.mounts[0].directory
        return root + self.path

    def _directory(self, controller: str) -> str:
        root = self._hierarchy.directory_of(controller)
        if root is None:
            raise Unsupported(f"the host has no control group controller {controller!r}")
        return root + self.path


def _too_small(directory: str, limit: int) -> OSError:
    """The kernel could not push the use of memory below a new limit."""
    usage = files.read_number(f"{directory}/memory.usage_in_bytes")
    peak = files.read_number(f"{directory}/memory.max_usage_in_bytes")
    message = f"unable to set memory limit to {limit} (current usage: {usage}, peak usage: {peak})"
    return OSError(errno.EBUSY, message, f"{directory}/memory.limit_in_bytes")


def _copy_cpuset(above: str, directory: str) -> None:
    """Give an empty cpuset its parent's: without CPUs and memory nodes no process can enter."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not files.read(f"{directory}/{name}").strip():
            files.write(f"{directory}/{name}", files.read(f"{above}/{name}"))
