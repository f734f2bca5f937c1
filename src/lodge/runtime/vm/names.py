"""Questions to the name server of a namespace, asked by programs in the machine, carried by the porter.

Each question gets a number of its own on the way, so that answers find whoever asked. Pure but for the
socket.
"""

from __future__ import annotations

import socket
from collections import OrderedDict

from lodge.runtime.vm.protocol import ProtocolError

_ASKER = 6
_LONGEST = 4096
_MOST_OPEN = 1024


class Names:
    """Owns the socket, which is connected to the name server."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._open: OrderedDict[int, bytes] = OrderedDict()
        self._next = 0

    def fileno(self) -> int:
        """The socket."""
        return self._socket.fileno()

    def ask(self, payload: bytes) -> None:
        """A question of the machine: who asks (address and port), then the message.

        ProtocolError for none.
        """
        if not _ASKER + 12 <= len(payload) <= _LONGEST:
            raise ProtocolError(f"a question of {len(payload)} bytes")
        self._next = (self._next + 1) & 0xFFFF
        self._open[self._next] = payload[: _ASKER + 2]
        if len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)
        try:
            self._socket.send(self._next.to_bytes(2, "big") + payload[_ASKER + 2 :])
        except OSError:
            # Whoever asked asks again.
            return

    def answers(self) -> list[bytes]:
        """What came back: for whom, then the message."""
        found: list[bytes] = []
        while True:
            try:
                message = self._socket.recv(_LONGEST)
            except OSError:
                return found
            asker = self._open.pop(int.from_bytes(message[:2], "big"), None)
            if asker is not None and len(message) >= 12:
                found.append(asker + message[2:])
