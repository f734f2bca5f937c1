"""A program's standard streams: made by the keeper, installed by the child as 0, 1 and 2."""

from __future__ import annotations

import fcntl
import os

from lodge.runtime.contract import StdioRequest, Streams


class Stdio:
    """Both ends of a program's streams, from before the clone until each side has its own.

    `child` are the descriptors that become 0, 1 and 2; none with a terminal, which the child opens itself.
    `owner` is who pipes shall belong to, when that is not the caller.
    """

    def __init__(self, request: StdioRequest, owner: tuple[int, int] | None = None) -> None:
        self.request = request
        self.streams = Streams()
        self.child: tuple[int, ...] = ()
        self._ours: list[int] = []
        if request.inherit is not None:
            self.child = request.inherit
        elif not request.terminal:
            self._open_pipes(request.stdin, owner)

    def install(self) -> None:
        """In the child: put the streams in their places; until a terminal comes, /dev/null does."""
        if not self.child:
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            if null > 2:
                os.close(null)
            return
        sources = self.child
        if any(fd <= 2 for fd in sources):
            # One may stand where another goes: copies above all targets first.
            sources = tuple(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in sources)
        for target, fd in enumerate(sources):
            os.dup2(fd, target)

    def close_child_side(self) -> None:
        """In the keeper, after the clone."""
        for fd in self._ours:
            os.close(fd)
        self._ours = []

    def abandon(self) -> None:
        """Close everything that was made here: the start has failed."""
        self.close_child_side()
        self.streams.close()

    def _open_pipes(self, with_stdin: bool, owner: tuple[int, int] | None) -> None:
        try:
            if with_stdin:
                stdin, self.streams.stdin = os.pipe2(os.O_CLOEXEC)
            else:
                stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            self._ours.append(stdin)
            self.streams.stdout, stdout = os.pipe2(os.O_CLOEXEC)
            self._ours.append(stdout)
            self.streams.stderr, stderr = os.pipe2(os.O_CLOEXEC)
            self._ours.append(stderr)
            if owner is not None:
                # In a user namespace the child may pass on only what belongs to that namespace.
                for fd in (stdin, stdout, stderr) if with_stdin else (stdout, stderr):
                    os.fchown(fd, *owner)
        except BaseException:
            self.abandon()
            raise
        self.child = (stdin, stdout, stderr)
