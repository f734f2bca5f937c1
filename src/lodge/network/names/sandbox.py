"""The name server of one sandbox, put together."""

from __future__ import annotations

import socket
from collections.abc import Callable

from lodge.network.loop import Loop
from lodge.network.names.asking import Asking, Quota
from lodge.network.names.book import Book
from lodge.network.names.datagrams import Datagrams
from lodge.network.names.resolver import Resolver
from lodge.network.names.streams import Streams
from lodge.network.names.view import View


class NameServer:
    """Owns a bound UDP socket and a listening TCP socket, both made in the sandbox's namespace."""

    def __init__(
        self,
        loop: Loop,
        quota: Quota,
        book: Book,
        view: View,
        udp: socket.socket,
        tcp: socket.socket,
        news: Callable[[], None] = lambda: None,
    ) -> None:
        """`news` brings the book up to date: called before a question that has no answer ready."""
        self.sockets = (udp, tcp)
        self._resolver = Resolver(book, view)
        self._asking = Asking(loop, quota, udp)
        self._datagrams = Datagrams(loop, udp, self._resolver, self._asking, news)
        self._streams = Streams(loop, tcp, self._resolver, self._asking, news)

    def change(self, view: View) -> None:
        """Answer from another point of view."""
        self._resolver.change(view)

    def close(self) -> None:
        """End, and close the sockets."""
        self._asking.close()
        self._datagrams.close()
        self._streams.close()
