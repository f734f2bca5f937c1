"""A container made by an installed OCI runtime: implements `contract.Dwelling` by its commands.

The root's mounts are performed by the keeper, in a mount namespace that it takes for itself, so that the
host's mount table does not change. What the control group counts is read directly; all else is asked of the
runtime.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from lodge.errors import Conflict, LodgeError, StartFailed
from lodge.kernel import mount as m
from lodge.kernel.cgroups import Cgroup, CgroupStats, Hierarchy
from lodge.kernel.namespaces import CLONE_NEWNS, unshare
from lodge.kernel.process import pidfd_open, pidfd_send_signal
from lodge.runtime.contract import StdioRequest, Streams
from lodge.runtime.oci.command import Runtime
from lodge.runtime.oci.console import ConsoleSocket
from lodge.runtime.program import ChildProgram
from lodge.spec.mount import Mount
from lodge.spec.runtime import ConsoleSize, Process, Resources, Root, RuntimeConfig, encode

# Does to a process of the container what the engine wants beyond the specification; gets the root's fd.
Complete = Callable[[Process, int, Any], Process]


class OciDwelling:
    """One container. `place` is an empty directory of ours for the root's mounts.

    `complete` makes a process that the runtime understands of one and the engine's extras.
    """

    def __init__(
        self,
        identity: str,
        bundle: str,
        config: RuntimeConfig,
        *,
        runtime: str,
        arguments: Sequence[str],
        state_dir: str,
        root_mounts: Sequence[Mount],
        mount_at: Callable[[Mount, str], None],
        complete: Complete,
        extras: Any,
        hierarchy: Hierarchy,
    ) -> None:
        self._identity = identity
        self._bundle = bundle
        self._config = config
        self._root_mounts = tuple(root_mounts)
        self._mount_at = mount_at
        self._complete = complete
        self._extras = extras
        self._directory = os.path.join(state_dir, "oci")
        self._place = os.path.join(state_dir, "rootfs")
        self._runtime = Runtime(runtime, arguments, self._directory)
        path = config.linux.cgroups_path if config.linux else ""
        self._cgroup: Cgroup = hierarchy.group(path or f"/{identity}")
        self._init: ChildProgram | None = None
        self._mounted = False
        self._paused = False
        self._removed = False

    def create(self, stdio: StdioRequest) -> ChildProgram:
        """See the contract."""
        os.makedirs(self._directory, 0o700, exist_ok=True)
        try:
            root = self._mount_root()
            self._write_config(root, stdio)
            self._init = self._start_program("create", ["--bundle", self._bundle], [self._identity], stdio)
        except BaseException as error:
            try:
                self.remove()
            except (LodgeError, OSError) as second:
                error.add_note(f"and cleaning up failed: {second}")
            raise
        return self._init

    def start(self) -> None:
        """See the contract."""
        self._runtime.run("start", self._identity)

    def execute(self, process: Process, stdio: StdioRequest, extras: Any = None) -> ChildProgram:
        """See the contract."""
        init = self._living()
        if self._paused:
            raise Conflict("cannot exec in a paused container")
        root = os.open(f"/proc/{init.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            process = _with_window(self._complete(process, root, extras), stdio)
        finally:
            os.close(root)
        path = os.path.join(self._directory, "process.json")
        _write(path, encode(process))
        try:
            return self._start_program("exec", ["--detach", "--process", path], [self._identity], stdio)
        finally:
            os.unlink(path)

    def signal_all(self, number: int) -> None:
        """See the contract."""
        if number == signal.SIGKILL:
            self._cgroup.kill()
            return
        for pid in self._cgroup.pids():
            try:
                pidfd = pidfd_open(pid)
            except ProcessLookupError:
                continue
            try:
                # The pid is pinned: only now the list says for certain that it is one of the container's.
                if pid in self._cgroup.pids():
                    pidfd_send_signal(pidfd, number)
            except ProcessLookupError:
                pass
            finally:
                os.close(pidfd)

    def pause(self) -> None:
        """See the contract."""
        self._runtime.run("pause", self._identity)
        self._paused = True

    def resume(self) -> None:
        """See the contract."""
        self._runtime.run("resume", self._identity)
        self._paused = False

    def update(self, resources: Resources) -> None:
        """See the contract."""
        path = os.path.join(self._directory, "resources.json")
        _write(path, encode(resources))
        try:
            self._runtime.run("update", "--resources", path, self._identity)
        finally:
            os.unlink(path)

    def stats(self) -> CgroupStats:
        """See the contract."""
        return self._cgroup.stats()

    def processes(self) -> list[int]:
        """See the contract."""
        return self._cgroup.pids()

    def oom_kills(self) -> int:
        """See the contract."""
        return self._cgroup.oom_kills()

    def remove(self) -> None:
        """See the contract."""
        if self._removed:
            return
        if self._paused:
            self._cgroup.thaw()
        try:
            self._runtime.run("delete", "--force", self._identity)
        except StartFailed as error:
            # What was never made, or is gone, need not be removed.
            if os.path.exists(os.path.join(self._directory, self._identity)):
                raise error
        if self._cgroup.exists():
            self._cgroup.kill()
            self._cgroup.remove()
        if self._mounted:
            # SAFETY: in this process's own mount namespace.
            m.umount2(self._place, m.MNT_DETACH)
            self._mounted = False
        self._removed = True

    def _mount_root(self) -> str:
        if not self._root_mounts:
            root = self._config.root
            return os.path.join(self._bundle, root.path if root else "rootfs")
        os.makedirs(self._place, 0o700, exist_ok=True)
        # Mounts that the host makes later (volumes) shall be seen here; ours shall not be seen there.
        unshare(CLONE_NEWNS)
        m.mount(None, "/", None, m.MS_REC | m.MS_SLAVE)
        for root_mount in self._root_mounts:
            self._mount_at(root_mount, self._place)
            self._mounted = True
        return self._place

    def _write_config(self, root: str, stdio: StdioRequest) -> None:
        config = self._config
        process = config.process
        if process is not None:
            fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                process = _with_window(self._complete(process, fd, self._extras), stdio)
            finally:
                os.close(fd)
        readonly = config.root is not None and config.root.readonly
        config = replace(config, process=process, root=Root(path=root, readonly=readonly))
        _write(os.path.join(self._bundle, "config.json"), encode(config))

    def _start_program(
        self, command: str, flags: list[str], words: list[str], stdio: StdioRequest
    ) -> ChildProgram:
        pid_file = os.path.join(self._directory, "pid")
        flags = [*flags, "--pid-file", pid_file]
        streams = Streams()
        try:
            if stdio.terminal:
                with ConsoleSocket(self._directory) as console:
                    self._runtime.run(command, *flags, "--console-socket", console.path, *words)
                    streams.terminal = console.receive()
            else:
                theirs = _open_streams(stdio, streams)
                try:
                    self._runtime.run(command, *flags, *words, stdio=theirs)
                finally:
                    if stdio.inherit is None:
                        _close(theirs)
            with open(pid_file, encoding="ascii") as file:
                pid = int(file.read())
            return ChildProgram(pid, pidfd_open(pid), streams)
        except BaseException:
            streams.close()
            raise
        finally:
            try:
                os.unlink(pid_file)
            except FileNotFoundError:
                pass

    def _living(self) -> ChildProgram:
        if self._init is None or self._init.ended:
            raise Conflict("the container is not running")
        return self._init


def _with_window(process: Process, stdio: StdioRequest) -> Process:
    size = process.console_size
    if stdio.window is not None:
        size = ConsoleSize(height=stdio.window[0], width=stdio.window[1])
    return replace(process, terminal=stdio.terminal, console_size=size)


def _open_streams(stdio: StdioRequest, ours: Streams) -> tuple[int, ...]:
    """The program's ends of new pipes; ours are filled in."""
    if stdio.inherit is not None:
        return stdio.inherit
    if stdio.stdin:
        stdin, ours.stdin = os.pipe2(os.O_CLOEXEC)
    else:
        stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    ours.stdout, stdout = os.pipe2(os.O_CLOEXEC)
    ours.stderr, stderr = os.pipe2(os.O_CLOEXEC)
    return stdin, stdout, stderr


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _write(path: str, text: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, text)
    finally:
        os.close(fd)
