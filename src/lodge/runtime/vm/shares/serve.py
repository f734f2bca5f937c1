"""The file server's process: one socket to the machine, two mounts behind it.

A message is a frame header (as in `protocol`) whose channel names the mount, then the FUSE message.
"""

from __future__ import annotations

import os
import resource
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import NoReturn

from msgspec import Struct

from lodge.kernel.paths import renameat2
from lodge.runtime.vm.shares.server import Server
from lodge.runtime.vm.shares.words import LONGEST_MESSAGE

_HEADER = struct.Struct("<BBHI")
_CHUNK = 1 << 18
_MOST = 1 << 16
UPPER, SHARES = 0, 1


class Share(Struct, frozen=True):
    """A directory or file of the host that a machine gets, under `name`; `fd` an O_PATH descriptor of it."""

    name: str
    fd: int
    writable: bool = True


def mounts(upper: Sequence[Share], shares: Sequence[Share]) -> Mapping[int, Server]:
    """The two mounts: the container's own files, which only the machine changes, and what it shares."""

    def entries(of: Sequence[Share]) -> dict[bytes, tuple[int, bool]]:
        return {os.fsencode(share.name): (share.fd, share.writable) for share in of}

    # A third of what this process may open for each mount; the rest is for directories and open files.
    most = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], _MOST) // 3
    return {
        UPPER: Server(entries(upper), rename=renameat2, exclusive=True, devices=True, most=most),
        SHARES: Server(entries(shares), rename=renameat2, exclusive=False, devices=False, most=most),
    }


def serve(sock: socket.socket, servers: Mapping[int, Server]) -> None:
    """Answer until the machine is gone or speaks nonsense."""
    waiting = bytearray()
    while data := sock.recv(_CHUNK):
        waiting += data
        start = 0
        while len(waiting) - start >= _HEADER.size:
            _, _, channel, length = _HEADER.unpack_from(waiting, start)
            if channel not in servers or length > LONGEST_MESSAGE:
                return
            end = start + _HEADER.size + length
            if len(waiting) < end:
                break
            answer = servers[channel].answer(bytes(memoryview(waiting)[start + _HEADER.size : end]))
            if answer:
                sock.sendall(_HEADER.pack(0, 0, channel, len(answer)) + answer)
            start = end
        del waiting[:start]


def become_server(sock: socket.socket, servers: Mapping[int, Server]) -> NoReturn:
    """Serve in this process, a fresh fork in its cell; it ends here."""
    try:
        # Every file that the machine's kernel remembers takes a descriptor.
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        os.umask(0)
        sock.setblocking(True)
        serve(sock, servers)
    finally:
        os._exit(0)
