"""Published ports of UDP: a conversation for each client, until it was quiet for long."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

from lodge.network.destinations import Destination
from lodge.network.loop import READ, Loop, Timer

# As Docker's proxy: a conversation ends after so many quiet seconds.
IDLE = 90.0
CONVERSATIONS = 4096
_ROUND = 32
_LONGEST = 65535
_SWEEP = 5.0

# struct in_pktinfo: interface, our address for answers, address it was sent to;
# struct in6_pktinfo: address it was sent to, interface.
_IP_PKTINFO = 8
_PKTINFO4 = struct.Struct("@i4s4s")
_PKTINFO6 = struct.Struct("@16si")
_ROOM = socket.CMSG_SPACE(_PKTINFO6.size)

# What recvmsg says of where a datagram was sent to, as sendmsg wants it to answer from there.
From = tuple[int, int, bytes]


class _Conversation:
    __slots__ = ("client", "from_", "since", "sock")

    def __init__(self, client: Any, from_: From | None, sock: socket.socket) -> None:
        self.client = client
        self.from_ = from_
        self.sock = sock
        self.since = time.monotonic()


class DatagramDoor:
    """A bound UDP socket and where it leads. Owns it, and the conversations."""

    def __init__(self, loop: Loop, sock: socket.socket, where: Destination) -> None:
        sock.setblocking(False)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        self._loop = loop
        self._socket = sock
        self._where = where
        # The one that was quiet for longest comes first.
        self._conversations: dict[tuple[Any, From | None], _Conversation] = {}
        self._sweeper: Timer | None = None
        loop.watch(sock.fileno(), READ, self._receive)

    @property
    def connections(self) -> int:
        """How many conversations there are that must not be cut: none."""
        return 0

    def lead(self, where: Destination) -> None:
        """Send what comes elsewhere."""
        self._where = where
        self._end_all()

    def retire(self) -> None:
        """End: a conversation is not a connection."""
        self.close()

    def close(self) -> None:
        """End everything, and close the socket; idempotent."""
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
        self._end_all()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _end_all(self) -> None:
        for key in list(self._conversations):
            self._end(key)

    def _end(self, key: tuple[Any, From | None]) -> None:
        conversation = self._conversations.pop(key)
        self._loop.forget(conversation.sock.fileno())
        conversation.sock.close()

    def _receive(self, _events: int) -> None:
        for _ in range(_ROUND):
            try:
                data, ancillary, _, client = self._socket.recvmsg(_LONGEST, _ROOM)
            except BlockingIOError:
                return
            except OSError:
                # An error of a datagram sent before (the client is gone), now told.
                continue
            key = (client, _answer_from(ancillary))
            conversation = self._conversations.pop(key, None) or self._begin(*key)
            if conversation is None:
                continue
            conversation.since = time.monotonic()
            self._conversations[key] = conversation
            try:
                conversation.sock.send(data)
            except OSError:
                # Nobody listens in the container, or it is too slow: datagrams may be lost.
                pass

    def _begin(self, client: Any, from_: From | None) -> _Conversation | None:
        if len(self._conversations) >= CONVERSATIONS:
            self._end(next(iter(self._conversations)))
        family, where = self._where
        try:
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except OSError:
            return None
        try:
            sock.connect(where)
        except OSError:
            sock.close()
            return None
        conversation = _Conversation(client, from_, sock)
        self._loop.watch(sock.fileno(), READ, lambda _: self._answer(conversation))
        if self._sweeper is None:
            self._sweeper = self._loop.later(_SWEEP, self._sweep)
        return conversation

    def _answer(self, conversation: _Conversation) -> None:
        ancillary = [conversation.from_] if conversation.from_ is not None else []
        for _ in range(_ROUND):
            try:
                data = conversation.sock.recv(_LONGEST)
            except BlockingIOError:
                return
            except OSError:
                # Refused: told to nobody, as by any network.
                return
            conversation.since = time.monotonic()
            try:
                self._socket.sendmsg([data], ancillary, 0, conversation.client)
            except OSError:
                pass

    def _sweep(self) -> None:
        self._sweeper = None
        given_up = time.monotonic() - IDLE
        for key, conversation in list(self._conversations.items()):
            if conversation.since <= given_up:
                self._end(key)
        if self._conversations:
            self._sweeper = self._loop.later(_SWEEP, self._sweep)


def _answer_from(ancillary: list[tuple[int, int, bytes]]) -> From | None:
    """The address that a client has sent to, so that it gets its answers from there: ip(7), ipv6(7)."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            _, local, _ = _PKTINFO4.unpack(data[: _PKTINFO4.size])
            return level, kind, _PKTINFO4.pack(0, local, bytes(4))
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            address, interface = _PKTINFO6.unpack(data[: _PKTINFO6.size])
            link_local = address[0] == 0xFE and address[1] & 0xC0 == 0x80
            return level, kind, _PKTINFO6.pack(address, interface if link_local else 0)
    return None
