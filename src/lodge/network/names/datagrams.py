"""Questions by UDP: the hot path. A round serves some of one sandbox's, then the others have their turn."""

from __future__ import annotations

import socket
from collections.abc import Callable

from lodge.network.loop import READ, Loop
from lodge.network.names.asking import Asking
from lodge.network.names.exchange import Exchange, servers
from lodge.network.names.question import is_query
from lodge.network.names.resolver import Resolver

_ROUND = 32
_LONGEST = 2048


class Datagrams:
    """A bound UDP socket of one sandbox. Owns it. What comes too fast stays in its buffer, or is lost."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        resolver: Resolver,
        asking: Asking,
        news: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._socket = sock
        self._resolver = resolver
        self._asking = asking
        self._news = news
        loop.watch(sock.fileno(), READ, self._serve)

    def close(self) -> None:
        """Stop and close."""
        self._loop.forget(self._socket.fileno())
        self._socket.close()

    def _serve(self, _events: int) -> None:
        receive, send, ready = self._socket.recvfrom, self._socket.sendto, self._resolver.ready
        for _ in range(_ROUND):
            try:
                message, client = receive(_LONGEST)
                answer = ready(message)
                if answer is not None:
                    send(answer, client)
                else:
                    self._think(message, client)
            except BlockingIOError:
                return
            except OSError:
                # The client has gone, or its packet filter minds: it asks again if it cares.
                continue

    def _think(self, message: bytes, client: tuple[str, int]) -> None:
        if not is_query(message):
            return
        # Who has just been started shall be known to whoever asks: the news of it may wait on another file.
        self._news()
        if self._socket.fileno() < 0:
            return
        answer = self._resolver.answer(message)
        if isinstance(answer, bytes):
            self._socket.sendto(answer, client)
            return
        exchange = Exchange(message, answer, servers(self._resolver.view), stream=False)
        self._asking.ask(exchange, self._reply_to(client))

    def _reply_to(self, client: tuple[str, int]) -> Callable[[bytes], None]:
        def reply(answer: bytes) -> None:
            try:
                self._socket.sendto(answer, client)
            except OSError:
                pass

        return reply
