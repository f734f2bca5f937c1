"""The container's terminal: opened in its own devpts, handed to the keeper, bound to /dev/console.

The slave comes from its master by ioctl, never by name, and /dev/console is a bind of that very descriptor
(CVE-2025-52565: a name in /dev/pts can be swapped between its opening and the mount).
"""

from __future__ import annotations

import errno
import os
import stat

from lodge.errors import StartFailed
from lodge.kernel import mount as m
from lodge.kernel import paths, tty
from lodge.runtime.process.handshake import TerminalOpened
from lodge.runtime.process.operation import Operation, Site

_PTMX = os.makedev(5, 2)
_ONTO = m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_EMPTY_PATH


class OpenTerminal(Operation, frozen=True):
    """Open a terminal, send its master to the keeper, show its slave as /dev/console."""

    rows: int
    columns: int
    console: bool

    def __str__(self) -> str:
        size = f" {self.rows}x{self.columns}" if self.rows and self.columns else ""
        return f"terminal{size}{', bound to /dev/console' if self.console else ''}"

    def perform(self, site: Site) -> None:
        """The slave waits in the site until the program's identity is known."""
        master, slave = _open(site.rootfd)
        try:
            if self.rows and self.columns:
                tty.set_window_size(master, self.rows, self.columns)
            if self.console:
                _bind_console(site, slave)
            site.channel.send(TerminalOpened(), master)
        finally:
            os.close(master)
        site.terminal_slave = slave


def _open(rootfd: int) -> tuple[int, int]:
    """A pair from the devpts of a root; what is there instead of the multiplexer is refused unopened."""
    try:
        ptmx = paths.open_in_root(rootfd, "/dev/pts/ptmx", os.O_PATH)
    except FileNotFoundError:
        ptmx = paths.open_in_root(rootfd, "/dev/ptmx", os.O_PATH)
    try:
        info = os.fstat(ptmx)
        if not stat.S_ISCHR(info.st_mode) or info.st_rdev != _PTMX:
            raise StartFailed("/dev/pts/ptmx of the container is not a terminal multiplexer")
        return tty.open_pty(paths.fd_path(ptmx))
    finally:
        os.close(ptmx)


def _bind_console(site: Site, slave: int) -> None:
    parent = site.directory("/dev")
    try:
        os.close(os.open("console", os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=parent))
    except FileExistsError:
        pass
    target = paths.openat2(parent, "console", os.O_PATH | os.O_NOFOLLOW, 0, paths.RESOLVE_BENEATH)
    try:
        if stat.S_ISLNK(os.fstat(target).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), "/dev/console")
        tree = m.open_tree(slave, "", m.AT_EMPTY_PATH | m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC)
        try:
            m.move_mount(tree, "", target, "", _ONTO)
        finally:
            os.close(tree)
    finally:
        os.close(target)
