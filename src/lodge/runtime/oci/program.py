"""A program that an external runtime started: it became this process's child when the runtime ended.

For that the keeper must be a child subreaper (PR_SET_CHILD_SUBREAPER).
"""

from __future__ import annotations

import os

from lodge.errors import Conflict
from lodge.kernel import tty
from lodge.kernel.process import pidfd_open, pidfd_send_signal
from lodge.runtime.contract import Streams


class AdoptedProgram:
    """Implements `contract.Program`."""

    def __init__(self, pid: int, streams: Streams) -> None:
        self.pid = pid
        self.streams = streams
        self._pidfd = pidfd_open(pid)
        self._code: int | None = None

    @property
    def ended(self) -> bool:
        """Whether it has been reaped."""
        return self._code is not None

    def fileno(self) -> int:
        """See the contract; -1 once closed."""
        return self._pidfd

    def reap(self) -> int:
        """See the contract."""
        if self._code is None:
            result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
            assert result is not None
            killed = result.si_code != os.CLD_EXITED
            self._code = 128 + result.si_status if killed else result.si_status
        return self._code

    def signal(self, number: int) -> None:
        """See the contract."""
        if self._code is not None or self._pidfd < 0:
            raise ProcessLookupError(f"process {self.pid} has ended")
        pidfd_send_signal(self._pidfd, number)

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
