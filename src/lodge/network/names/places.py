"""Where a question to an upstream leaves from: the host's network namespace, or that of a sandbox."""

from __future__ import annotations

import fcntl
import os
import socket
from typing import Protocol

# The network namespace of a socket, as a file: Linux 4.9, for CAP_NET_ADMIN there.
_SIOCGSKNS = 0x894C


class Place(Protocol):
    """Makes sockets."""

    def socket(self, family: int, kind: int) -> socket.socket:
        """A new one that never blocks; OSError."""
        ...


class Host:
    """The namespace of this process."""

    def socket(self, family: int, kind: int) -> socket.socket:
        """See Place."""
        return socket.socket(family, kind | socket.SOCK_NONBLOCK)


class Inside:
    """The namespace in which another socket was made. Holds nothing open."""

    def __init__(self, witness: socket.socket) -> None:
        self._witness = witness

    def socket(self, family: int, kind: int) -> socket.socket:
        """See Place."""
        # ctypes: not before somebody asks from inside.
        from lodge.kernel.netspaces import visiting

        there = fcntl.ioctl(self._witness.fileno(), _SIOCGSKNS)
        try:
            with visiting(there):
                return socket.socket(family, kind | socket.SOCK_NONBLOCK)
        finally:
            os.close(there)
