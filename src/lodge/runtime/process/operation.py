"""One step of making a dwelling, and the place where it is made.

A plan is a list of operations (`plan`): values without a say, which print what they will do. The init
performs them in order. Each subject keeps its own operations beside the functions that plan them: `rootfs`,
`mounts`, `cgroup_mount`, `devices`, `masks`, `names`, `terminal`. What the program becomes afterwards is
`identity`.
"""

from __future__ import annotations

import errno
import os
from abc import abstractmethod
from collections.abc import Callable

from msgspec import Struct

from lodge.errors import StartFailed
from lodge.kernel import paths
from lodge.runtime.process.handshake import Channel
from lodge.runtime.process.hooks import HookRunner


class Site:
    """What an init works with while it performs its plan. Descriptors in here die with the set-up.

    `hooks` runs the config's hooks. `entries` gives the files that lead into the control group, once.
    `rootfd` is the container's root once it is mounted (O_PATH), `root_path` its name in the host's tree.
    """

    def __init__(self, channel: Channel, hooks: HookRunner, entries: Callable[[], list[int]]) -> None:
        self.channel = channel
        self.hooks = hooks
        self.entries = entries
        self.rootfd = -1
        self.root_path = ""
        self.terminal_slave = -1
        self.mask_tree = -1
        self._directories: dict[str, int] = {}

    def mount_point(self, path: str) -> int:
        """A directory inside the root to mount on, made when it is missing; the caller closes it.

        Most exist, and cost one call; only the others are walked to.
        """
        try:
            return paths.open_in_root(self.rootfd, path, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            return paths.make_directories_in_root(self.rootfd, path)

    def directory(self, path: str) -> int:
        """A directory inside the root, made when it is missing, open until the end of the set-up."""
        fd = self._directories.get(path)
        if fd is None:
            fd = self._directories[path] = self.mount_point(path)
        return fd

    def forget_directories(self) -> None:
        """Resolve anew from here on: something was mounted."""
        for fd in self._directories.values():
            os.close(fd)
        self._directories.clear()

    def place_of(self, fd: int) -> str:
        """The name inside the root of what a descriptor pins; for checks and messages, never to open it."""
        name = os.readlink(paths.fd_path(fd))
        if self.root_path == "/":
            return name
        return name[len(self.root_path) :] or "/"


def refusal(what: str, error: OSError) -> StartFailed:
    """What the kernel refused, in its words; 127 and 126 as Docker has them, 128 for all else."""
    reason = (error.strerror or "unknown error").lower()
    subject = f": {error.filename}" if error.filename and str(error.filename) not in what else ""
    if error.errno == errno.ENOENT:
        code = 127
    else:
        code = 126 if error.errno in (errno.EACCES, errno.ENOTDIR) else 128
    return StartFailed(f"{what}: {reason}{subject}", exit_code=code)


class Operation(Struct, frozen=True):
    """One step. `str` says what it does; `perform` does it in the child, OSError or a kind of ours."""

    @abstractmethod
    def perform(self, site: Site) -> None:
        """Do it."""
