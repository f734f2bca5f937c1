"""Messages with file descriptors over a SEQPACKET unix socket: unix(7), cmsg(3)."""

from __future__ import annotations

import errno
import os
import socket
import struct
from array import array
from collections.abc import Sequence

# The kernel refuses more in one message (SCM_MAX_FD).
MAX_FDS = 253
MAX_MESSAGE = 1 << 20

_INT = struct.calcsize("i")
_CREDENTIALS = struct.Struct("iII")


def send(sock: socket.socket, message: bytes, fds: Sequence[int] = ()) -> None:
    """Send one message with files, all or nothing; BlockingIOError when a non-blocking socket is full."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds))] if fds else []
    sock.sendmsg([message], ancillary, socket.MSG_NOSIGNAL)


def receive(sock: socket.socket, size: int = 65536, max_fds: int = 32) -> tuple[bytes, list[int]]:
    """Receive one message with its files, close-on-exec; (b"", []) when the other side has closed.

    OSError EMSGSIZE for a message or a list of files that did not fit: the files that came are closed then,
    and the message is lost.
    """
    message, ancillary, flags, _ = sock.recvmsg(
        size, socket.CMSG_SPACE(max_fds * _INT), socket.MSG_CMSG_CLOEXEC
    )
    fds: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received = array("i")
            received.frombytes(data[: len(data) - len(data) % _INT])
            fds.extend(received)
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        for fd in fds:
            os.close(fd)
        raise OSError(errno.EMSGSIZE, "a message on a socket was longer than expected")
    return message, fds


def peer_credentials(sock: socket.socket) -> tuple[int, int, int]:
    """(pid, uid, gid) of the process that connected, as it was then: SO_PEERCRED."""
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(data)
    return pid, uid, gid
