"""The console socket: where an OCI runtime sends the master of the terminal that it made."""

from __future__ import annotations

import os
import select
import socket
from typing import Self

from lodge.errors import StartFailed
from lodge.runtime.link import bind_unix

_NAME = "console.sock"
_PATIENCE = 5.0


class ConsoleSocket:
    """A listening socket in a directory; use as a context."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, _NAME)
        self._directory = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        bind_unix(self._listener, self._path)
        self._listener.listen(1)

    @property
    def path(self) -> str:
        """A short path to it, for the runtime: an address holds 107 bytes only."""
        return f"/proc/{os.getpid()}/fd/{self._directory}/{_NAME}"

    def receive(self) -> int:
        """The terminal's master; StartFailed when none comes."""
        if not select.select([self._listener], [], [], _PATIENCE)[0]:
            raise StartFailed("the runtime sent no terminal")
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(_PATIENCE)
            _, fds, _, _ = socket.recv_fds(connection, 4096, 4)
        if len(fds) != 1:
            for fd in fds:
                os.close(fd)
            raise StartFailed(f"the runtime sent {len(fds)} files in place of a terminal")
        os.set_inheritable(fds[0], False)
        return fds[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._listener.close()
        os.close(self._directory)
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass
