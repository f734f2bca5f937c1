"""QEMU's control socket (QMP): commands, one at a time, each waited for in bounded time.

Source: QEMU's docs/interop/qmp-spec. The answers come from a process that a guest may have taken over: they
are read with a limit, and only the members that are expected.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Sequence
from typing import Any

from lodge.errors import Internal, TimedOut
from lodge.kernel import sockets

_PATIENCE = 20.0
_LONGEST = 1 << 20


class Control:
    """Owns the socket. The first command does the greeting."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._waiting = b""
        self._greeted = False

    def run(
        self, command: str, *, fds: Sequence[int] = (), patience: float = _PATIENCE, **arguments: Any
    ) -> Any:
        """Run a command, its underscores for dashes in names; its answer. Internal when QEMU refuses."""
        if not self._greeted:
            self._read(patience)
            self._ask({"execute": "qmp_capabilities"}, (), patience)
            self._greeted = True
        words = {name.replace("_", "-"): value for name, value in arguments.items()}
        return self._ask({"execute": command, "arguments": words}, fds, patience)

    def _ask(self, message: dict[str, Any], fds: Sequence[int], patience: float) -> Any:
        try:
            sockets.send(self._socket, json.dumps(message).encode() + b"\n", fds)
        except OSError as error:
            raise Internal(f"the hypervisor is gone: {error}") from error
        while True:
            answer = self._read(patience)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise Internal(f"the hypervisor refuses {message['execute']}: {answer['error'].get('desc')}")

    def _read(self, patience: float) -> dict[str, Any]:
        deadline = time.monotonic() + patience
        while b"\n" not in self._waiting:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                raise TimedOut("the hypervisor does not answer")
            data = self._socket.recv(65536)
            if not data or len(self._waiting) > _LONGEST:
                raise Internal("the hypervisor is gone")
            self._waiting += data
        line, _, self._waiting = self._waiting.partition(b"\n")
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise Internal(f"the hypervisor speaks nonsense: {error}") from error
        return answer if isinstance(answer, dict) else {}

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
