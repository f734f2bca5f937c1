"""The clone: which namespaces a child is born into, and the detours that some of them take.

A new pid or time namespace, and one that is joined by path, holds only children of who joins it. So the
keeper joins those for the moment of the clone and goes back; nothing else of the keeper changes. A user
namespace that is joined by path must own the other new ones, which only a process inside it can make: there
a go-between is cloned first, whose child (CLONE_PARENT) is the keeper's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from msgspec import Struct

from lodge.errors import StartFailed
from lodge.kernel import namespaces as ns
from lodge.kernel.process import pidfd_open, setgroups, setresgid, setresuid
from lodge.spec.runtime import TimeOffset

_SELF_PID = "/proc/self/ns/pid"
_SELF_TIME = "/proc/self/ns/time"


class Birth(Struct, frozen=True):
    """Where a child comes into the world.

    `flags` are the new namespaces (of those that clone3 makes); `pid_path` and `time_path` are joined,
    `pid_of` is a pidfd of a process whose pid namespace is (-1 for none); `new_time` are the offsets of a
    new time namespace, None for none; `user_path` is joined by a go-between. With `for_parent` the child is
    the caller's parent's (not together with `user_path`).
    """

    flags: int = 0
    pid_path: str = ""
    pid_of: int = -1
    time_path: str = ""
    new_time: dict[str, TimeOffset] | None = None
    user_path: str = ""
    for_parent: bool = False

    def __str__(self) -> str:
        names = [name for name, (flag, _) in ns.NAMESPACES.items() if self.flags & flag]
        if self.new_time is not None:
            names.append("time")
        lines = [f"clone {' '.join(names) or '-'}"]
        joined = (("user", self.user_path), ("pid", self.pid_path), ("time", self.time_path))
        lines += [f"born in {kind} {path}" for kind, path in joined if path]
        for clock, offset in (self.new_time or {}).items():
            lines.append(f"clock {clock} {offset.secs:+d}.{offset.nanosecs:09d}")
        return "\n".join(lines)

    def clone(self, body: Callable[[], NoReturn]) -> tuple[int, int]:
        """Clone a child that runs `body`; (pid, pidfd) of it, a child of the caller."""
        with self._for_children():
            if self.user_path:
                return self._clone_by_go_between(body)
            # SAFETY: the caller has one thread; the child never returns into the caller's frames.
            if self.for_parent:
                pid, pidfd = ns.clone3(self.flags | ns.CLONE_PARENT, exit_signal=0)
            else:
                pid, pidfd = ns.clone3(self.flags)
            if pid == 0:
                body()
            return pid, pidfd

    @contextmanager
    def _for_children(self) -> Iterator[None]:
        """Join what takes effect for children only, and go back."""
        back: list[tuple[int, int]] = []
        try:
            if self.pid_path or self.pid_of >= 0:
                back.append((os.open(_SELF_PID, os.O_RDONLY | os.O_CLOEXEC), ns.CLONE_NEWPID))
                if self.pid_path:
                    _join(self.pid_path, ns.CLONE_NEWPID)
                else:
                    ns.setns(self.pid_of, ns.CLONE_NEWPID)
            if self.time_path or self.new_time is not None:
                back.append((os.open(_SELF_TIME, os.O_RDONLY | os.O_CLOEXEC), ns.CLONE_NEWTIME))
                if self.time_path:
                    _join(self.time_path, ns.CLONE_NEWTIME)
                else:
                    ns.unshare(ns.CLONE_NEWTIME)
                    if self.new_time:
                        ns.write_time_offsets(self.new_time)
            yield
        finally:
            for fd, flag in back:
                ns.setns(fd, flag)
                os.close(fd)

    def _clone_by_go_between(self, body: Callable[[], NoReturn]) -> tuple[int, int]:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            # SAFETY: as in `clone`.
            between, between_fd = ns.clone3(0)
            if between == 0:
                self._go_between(writer, body)
        finally:
            os.close(writer)
        os.close(between_fd)
        with open(reader, "rb") as answer:
            text = answer.read().decode()
        os.waitpid(between, 0)
        if not text.isdecimal():
            raise StartFailed(f"join user namespace {self.user_path}: {text or 'killed'}")
        # A child of ours that nobody has waited for: the pid is still its own.
        return int(text), pidfd_open(int(text))

    def _go_between(self, writer: int, body: Callable[[], NoReturn]) -> NoReturn:
        text = b"failed"
        try:
            _join(self.user_path, ns.CLONE_NEWUSER)
            # SAFETY: this process has nothing to do but the clone that follows.
            become_namespace_root()
            pid, _ = ns.clone3(self.flags | ns.CLONE_PARENT, exit_signal=0)
            if pid == 0:
                os.close(writer)
                body()
            text = b"%d" % pid
        except BaseException as error:
            text = str(error).encode()
        finally:
            os.write(writer, text)
            os._exit(0)


def become_namespace_root() -> None:
    """Be root of the user namespace that the caller is in, once its maps are written."""
    # SAFETY: only in a child that is on its way to become an init.
    setresgid(0, 0, 0)
    setresuid(0, 0, 0)
    setgroups(())


def _join(path: str, flag: int) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        ns.setns(fd, flag)
    finally:
        os.close(fd)
