"""The door: from an exchange to a route, with the version negotiated and every error answered.

`App.handle` is what the HTTP server calls. Routes are gathered from the `routes_*` modules next door.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from lodge.api.backend import Backend
from lodge.api.call import Call
from lodge.api.failures import body_of, message_of, report, status_of
from lodge.api.leases import Leases
from lodge.api.router import Route, Router, split_version
from lodge.api.table import all_routes
from lodge.errors import InvalidArgument
from lodge.http.body import ClientGone
from lodge.http.exchange import Exchange
from lodge.wire import versions

if TYPE_CHECKING:
    from lodge.api.buildkit.door import Door

_LOOPBACK = ("", "localhost", "127.0.0.1", "[::1]", "::1", "api.moby.localhost", "docker")
_NO_PAGE = b'{"message":"page not found"}\n'


def banner(version: str, newest: int = versions.NEWEST) -> bytes:
    """The headers that every answer carries."""
    return (
        f"Api-Version: {versions.text(newest)}\r\nDocker-Experimental: false\r\nOstype: linux\r\n"
        f"Server: Docker/{version} (linux)\r\n"
    ).encode("ascii")


def from_a_web_page(headers: dict[str, str]) -> bool:
    """Whether a browser sends it: for another site's page, or for a name that was bent to this machine.

    Who may open http://127.0.0.1 in a browser must not thereby be root (DNS rebinding, CVE-2025-9074's kin).
    """
    host = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
    return "origin" in headers or "sec-fetch-site" in headers or host not in _LOOPBACK


class App:
    """The Engine API over one backend."""

    def __init__(
        self, backend: Backend, *, oldest: int = versions.OLDEST, routes: list[Route] | None = None
    ) -> None:
        self._backend = backend
        self._oldest = oldest
        self.leases = Leases(backend)
        self._door: Door | None = None
        doors = [Route("POST", "/grpc", self._grpc), Route("POST", "/session", self._session)]
        known = [*all_routes(), *self.leases.routes(), *doors] if routes is None else routes
        self._router = Router(known)

    @property
    def buildkit(self) -> Door:
        """The door for BuildKit's clients; its libraries are imported when the first of them comes."""
        if self._door is None:
            from lodge.api.buildkit.door import Door

            self._door = Door(self._backend)
        return self._door

    def http2(self) -> asyncio.Protocol:
        """The protocol of a client that speaks HTTP/2 from the beginning: gRPC."""
        return self.buildkit.protocol()

    async def _grpc(self, call: Call) -> None:
        await self.buildkit.grpc(call)

    async def _session(self, call: Call) -> None:
        await self.buildkit.session(call)

    def handle(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        """Answer an exchange (see `http.server.Handler`)."""
        head = exchange.head
        if exchange.plain_tcp and from_a_web_page(head.headers):
            exchange.respond(403, b'{"message":"requests of web pages are refused"}\n')
            return None
        asked, path = split_version(head.path)
        found = self._router.find(head.method, path)
        if found is None:
            status = 200 if head.method == "OPTIONS" else 404
            exchange.respond(status, b"" if status == 200 else _NO_PAGE)
            return None
        route, name = found
        try:
            version = versions.negotiate(asked, oldest=self._oldest) if asked else versions.NEWEST
            if version < route.since:
                raise InvalidArgument(
                    f"{path} requires API version 1.{route.since}, but 1.{version} was asked"
                )
            exchange.bound = route.bound
            running = route.action(Call(exchange, self._backend, name, version))
        except Exception as error:
            self._fail(exchange, error, asked)
            return None
        return None if running is None else self._watch(running, exchange, asked)

    async def _watch(self, running: Coroutine[Any, Any, None], exchange: Exchange, asked: str) -> None:
        try:
            await running
        except ClientGone:
            raise
        except Exception as error:
            self._fail(exchange, error, asked)

    def _fail(self, exchange: Exchange, error: Exception, asked: str) -> None:
        report(exchange.head.method, exchange.head.path, error)
        if exchange.handover is not None:
            return  # the connection closes, which is all that can be said now
        if exchange.status:
            exchange.abort()
            return
        status = status_of(error)
        if asked.startswith(("1.1", "1.0", "0.")) and len(asked) <= 4 and status == 400:
            # clients as old as that print an error's body as it is
            exchange.respond(
                status, message_of(error).encode() + b"\n", content_type="text/plain; charset=utf-8"
            )
        else:
            exchange.respond(status, body_of(error))
