"""A running process, held by its pidfd: implements `contract.Program` for children of the keeper.

Both wings use it. A program that an external runtime started becomes the keeper's child when that runtime has
ended, if the keeper is a child subreaper (PR_SET_CHILD_SUBREAPER).
"""

from __future__ import annotations

import os
import signal

from lodge.errors import Conflict
from lodge.kernel import tty
from lodge.kernel.process import pidfd_send_signal
from lodge.runtime.contract import Streams


class ChildProgram:
    """One child. The pid stays its own until it is reaped, for only this object waits for it."""

    def __init__(self, pid: int, pidfd: int, streams: Streams) -> None:
        self.pid = pid
        self.streams = streams
        self._pidfd = pidfd
        self._code: int | None = None

    def fileno(self) -> int:
        """See the contract; -1 once closed."""
        return self._pidfd

    @property
    def ended(self) -> bool:
        """Whether it has been reaped."""
        return self._code is not None

    def reap(self) -> int:
        """See the contract."""
        if self._code is None:
            result = os.waitid(os.P_PID, self.pid, os.WEXITED)
            assert result is not None
            killed = result.si_code != os.CLD_EXITED
            self._code = 128 + result.si_status if killed else result.si_status
        return self._code

    def signal(self, number: int) -> None:
        """See the contract."""
        if self._code is not None or self._pidfd < 0:
            raise ProcessLookupError(f"process {self.pid} has ended")
        pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """End it now, whatever it is doing, and reap it; idempotent."""
        if self._code is None:
            pidfd_send_signal(self._pidfd, signal.SIGKILL)
            try:
                self.reap()
            except ChildProcessError:
                # Born for this process's parent, which collects it.
                self._code = 128 + signal.SIGKILL

    def resize(self, rows: int, columns: int) -> None:
        """See the contract."""
        if self.streams.terminal is None:
            raise Conflict("the program has no terminal")
        tty.set_window_size(self.streams.terminal, rows, columns)

    def close(self) -> None:
        """See the contract."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
