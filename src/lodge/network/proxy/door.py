"""A published port as the porter holds it: a socket that is only kept, or one that leads into a container."""

from __future__ import annotations

import socket
from typing import Protocol

from lodge.network.destinations import Destination
from lodge.network.loop import Loop
from lodge.network.proxy.datagrams import DatagramDoor
from lodge.network.proxy.streams import Places, StreamDoor


class Door(Protocol):
    """What there is behind a socket that is forwarded."""

    @property
    def connections(self) -> int:
        """How many would be cut by an end."""
        ...

    def lead(self, where: Destination) -> None:
        """Forward to another (family, address) from now on."""
        ...

    def retire(self) -> None:
        """Take nothing new; close the socket."""
        ...

    def close(self) -> None:
        """End everything."""
        ...


class Kept:
    """A socket that is only there so that nobody else can have the port."""

    connections = 0

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def lead(self, where: Destination) -> None:
        """Nothing is forwarded: the kernel does it."""

    def retire(self) -> None:
        """See Door."""
        self._socket.close()

    def close(self) -> None:
        """See Door."""
        self._socket.close()


def open_door(loop: Loop, places: Places, sock: socket.socket, where: Destination | None) -> Door:
    """The door for a socket; the kind is the socket's. OSError for a stream socket that does not listen."""
    if where is None:
        return Kept(sock)
    if sock.type == socket.SOCK_DGRAM:
        return DatagramDoor(loop, sock, where)
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.listen(1024)
    return StreamDoor(loop, places, sock, where)
