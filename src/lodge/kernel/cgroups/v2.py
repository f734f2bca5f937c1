"""Control groups version 2: one directory, controllers handed down from the root.

Plans come from `v2_plan`, figures from `v2_stats`, device programs from `bpf`. A group with processes can't
hand controllers down (the "no internal processes" rule), so whoever lives in a parent must move out first:
`V2Hierarchy.make_room`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from lodge.kernel.cgroups import bpf, files, tree
from lodge.kernel.cgroups.contract import CgroupStats
from lodge.kernel.cgroups.devices import reduce_rules
from lodge.kernel.cgroups.v2_plan import Write, plan
from lodge.kernel.cgroups.v2_stats import read_stats
from lodge.kernel.inotify import IN_MODIFY, inotify_add_watch, inotify_init
from lodge.spec.runtime import Cpu, DeviceRule, Resources

_FREEZE_SECONDS = 5.0
_KILL_SECONDS = 10.0


class V2Hierarchy:
    """The unified hierarchy; implements `contract.Hierarchy`. `directory` is its mount point."""

    version = 2

    def __init__(self, directory: str, root: str = "/") -> None:
        self.directory = directory
        self._root = root
        self.controllers = frozenset(files.read_or(f"{directory}/cgroup.controllers").split())
        self._ready: set[str] = set()

    @property
    def swap_limits(self) -> bool:
        """Whether the kernel can limit swap: it shows the file in every group below the root."""
        if "memory" not in self.controllers:
            return False
        return any(files.exists(f"{child}/memory.swap.max") for child in tree.children(self.directory))

    def group(self, path: str) -> V2Cgroup:
        """See the contract."""
        return V2Cgroup(self, tree.normalize(path))

    def own_path(self) -> str:
        """See the contract."""
        for line in files.read("/proc/self/cgroup").splitlines():
            if line.startswith("0::"):
                return tree.below(self._root, line[3:])
        return "/"

    def make_room(self, path: str, leaf: str = "init") -> None:
        """Move the processes of a group into a leaf inside it, so that it can hand controllers down.

        For an engine that runs inside a container, whose root group holds the engine itself.
        """
        directory = self.directory + path.rstrip("/")
        try:
            os.mkdir(f"{directory}/{leaf}", 0o755)
        except FileExistsError:
            pass
        for pid in tree.pids(directory, False):
            try:
                files.write(f"{directory}/{leaf}/cgroup.procs", str(pid))
            except ProcessLookupError:
                pass

    def make(self, path: str) -> None:
        """Make the directory of a group with all controllers, and its missing parents."""
        parent = os.path.dirname(path)
        if parent not in self._ready:
            self._prepare(parent)
            self._ready.add(parent)
        try:
            os.mkdir(self.directory + path, 0o755)
        except FileExistsError:
            return
        except FileNotFoundError:
            # The parent was there before, and somebody has removed it since.
            self._prepare(parent)
            os.mkdir(self.directory + path, 0o755)

    def _prepare(self, path: str) -> None:
        """Make a parent and hand every controller down through it and all above it."""
        directory = self.directory
        self._hand_down(directory)
        for part in path.split("/")[1:]:
            if not part:
                continue
            directory = f"{directory}/{part}"
            try:
                os.mkdir(directory, 0o755)
            except FileExistsError:
                pass
            self._hand_down(directory)

    def _hand_down(self, directory: str) -> None:
        available = set(files.read(f"{directory}/cgroup.controllers").split())
        enabled = set(files.read(f"{directory}/cgroup.subtree_control").split())
        missing = sorted(available - enabled)
        if not missing:
            return
        control = f"{directory}/cgroup.subtree_control"
        try:
            files.write(control, " ".join(f"+{name}" for name in missing))
        except OSError as error:
            if error.errno == errno.EBUSY:
                message = "processes in this control group keep it from handing controllers down"
                raise OSError(error.errno, message, directory) from None
            # One controller may refuse (cpu while realtime processes run): hand down the others one by one.
            for name in missing:
                try:
                    files.write(control, f"+{name}")
                except OSError:
                    continue


class V2Cgroup:
    """One group; implements `contract.Cgroup`."""

    def __init__(self, hierarchy: V2Hierarchy, path: str) -> None:
        self.path = path
        self.directory = hierarchy.directory + path
        self._hierarchy = hierarchy

    def create(self) -> None:
        """See the contract."""
        self._hierarchy.make(self.path)

    def exists(self) -> bool:
        """See the contract."""
        return files.exists(self.directory)

    def paths(self) -> dict[str, str]:
        """See the contract."""
        return {"": self.directory}

    def open_directory(self) -> int:
        """A file descriptor of the directory, for clone3's `cgroup_fd`: a birth inside costs no move."""
        return os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def add(self, pid: int) -> None:
        """See the contract."""
        files.write(f"{self.directory}/cgroup.procs", str(pid))

    def enter(self) -> None:
        """See the contract. Being born inside (`open_directory`) is cheaper still."""
        files.write(f"{self.directory}/cgroup.procs", "0")

    def prepare_entry(self) -> list[int]:
        """See the contract."""
        return [files.open_for_writing(f"{self.directory}/cgroup.procs")]

    def apply(self, resources: Resources) -> None:
        """See the contract."""
        memory = resources.memory
        if memory is not None and memory.check_before_update and memory.limit and memory.limit > 0:
            usage = files.read_number(f"{self.directory}/memory.current")
            if usage > memory.limit:
                message = f"unable to set memory limit to {memory.limit} (current usage: {usage})"
                raise OSError(errno.EBUSY, message, f"{self.directory}/memory.max")
        for write in plan(self._completed(resources)):
            self._perform(write)

    def set_devices(self, rules: Sequence[DeviceRule]) -> None:
        """See the contract: a BPF program, replaced in one step."""
        bpf.replace(self.directory, reduce_rules(rules))

    def freeze(self) -> None:
        """See the contract."""
        files.write(f"{self.directory}/cgroup.freeze", "1")
        try:
            for _ in tree.pauses(_FREEZE_SECONDS):
                if files.read_table(f"{self.directory}/cgroup.events").get("frozen"):
                    return
        except BaseException:
            self.thaw()
            raise
        self.thaw()
        raise TimeoutError(errno.ETIMEDOUT, "processes could not be frozen", self.directory)

    def thaw(self) -> None:
        """See the contract."""
        files.write(f"{self.directory}/cgroup.freeze", "0")

    def frozen(self) -> bool:
        """See the contract."""
        return files.read_or(f"{self.directory}/cgroup.freeze", "0").strip() == "1"

    def pids(self, recursive: bool = True) -> list[int]:
        """See the contract."""
        return tree.pids(self.directory, recursive)

    def stats(self) -> CgroupStats:
        """See the contract."""
        return read_stats(self.directory)

    def oom_kills(self) -> int:
        """See the contract."""
        return files.read_table(f"{self.directory}/memory.events").get("oom_kill", 0)

    def oom_event_fd(self) -> int:
        """See the contract: an inotify on memory.events, which changes at every OOM."""
        watch = inotify_init()
        try:
            inotify_add_watch(watch, f"{self.directory}/memory.events", IN_MODIFY)
        except BaseException:
            os.close(watch)
            raise
        return watch

    def kill(self) -> None:
        """See the contract: cgroup.kill (Linux 5.14), else signals in a frozen group."""
        # SAFETY: the kernel kills the group's members; by pid only while they stand frozen.
        for _ in tree.pauses(_KILL_SECONDS):
            if not tree.pids(self.directory, True):
                break
            self._kill_once()
        else:
            raise TimeoutError(errno.ETIMEDOUT, "processes did not end after SIGKILL", self.directory)
        if self.frozen():
            self.thaw()

    def remove(self) -> None:
        """See the contract."""
        tree.remove(self.directory)

    def _kill_once(self) -> None:
        try:
            files.write(f"{self.directory}/cgroup.kill", "1")
        except FileNotFoundError:
            try:
                self.freeze()
            except TimeoutError:
                tree.kill_running(self.directory)
                return
            tree.kill_frozen(self.directory)
            self.thaw()

    def _completed(self, resources: Resources) -> Resources:
        """Add the quota of now when only the period is to change: both live in one file."""
        cpu = resources.cpu
        if cpu is None or not cpu.period or cpu.quota:
            return resources
        quota = files.read_or(f"{self.directory}/cpu.max", "max").split()[0]
        completed = {field: getattr(cpu, field) for field in Cpu.__struct_fields__}
        completed["quota"] = -1 if quota == "max" else int(quota)
        fields = {field: getattr(resources, field) for field in Resources.__struct_fields__}
        return Resources(**{**fields, "cpu": Cpu(**completed)})

    def _perform(self, write: Write) -> None:
        for file, text in zip(write.files, write.texts, strict=True):
            if files.exists(f"{self.directory}/{file}"):
                files.write(f"{self.directory}/{file}", text)
                return
        if not write.optional:
            path = f"{self.directory}/{write.files[0]}"
            raise OSError(errno.ENOENT, "this kernel or parent group offers no such control", path)
