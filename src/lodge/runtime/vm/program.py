"""A program inside a machine, as the keeper holds it: implements `contract.Program`.

The keeper's `pid` of it is the hypervisor's: the only process that the host has for it. Its end comes by a
status pipe from the porter; one that ends without a code says that the machine died.
"""

from __future__ import annotations

import os
import select
import signal

from lodge.errors import Conflict
from lodge.runtime.contract import Streams
from lodge.runtime.vm.porter_link import PorterLink
from lodge.runtime.vm.protocol import Kind

_KILLED = 128 + signal.SIGKILL
_PATIENCE = 30.0


class GuestProgram:
    """One program on a channel of the porter."""

    def __init__(
        self, pid: int, porter: PorterLink, channel: int, status: int, streams: Streams, terminal: bool
    ) -> None:
        self.pid = pid
        self.streams = streams
        self._porter = porter
        self.channel = channel
        self._status = status
        self._terminal = terminal
        self._code: int | None = None
        self.died = False
        """Whether it ended because its machine did."""

    def fileno(self) -> int:
        """See the contract."""
        return self._status

    @property
    def ended(self) -> bool:
        """Whether its code is known."""
        return self._code is not None

    def reap(self) -> int:
        """See the contract; 137 when the machine died."""
        if self._code is None:
            ready = select.select([self._status], [], [], _PATIENCE)[0]
            said = os.read(self._status, 1) if ready else b""
            self.died = not said
            self._code = said[0] if said else _KILLED
        return self._code

    def signal(self, number: int) -> None:
        """See the contract."""
        if self._code is not None:
            raise ProcessLookupError("the program has ended")
        self._porter.tell(Kind.SIGNAL, self.channel, number.to_bytes(4, "little"))

    def resize(self, rows: int, columns: int) -> None:
        """See the contract."""
        if not self._terminal:
            raise Conflict("the program has no terminal")
        size = rows.to_bytes(2, "little") + columns.to_bytes(2, "little")
        self._porter.tell(Kind.RESIZE, self.channel, size)

    def close(self) -> None:
        """See the contract."""
        if self._status >= 0:
            os.close(self._status)
            self._status = -1
