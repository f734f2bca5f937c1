"""POST /grpc and POST /session, and HTTP/2 without an upgrade: how clients of BuildKit come in.

Both answer 101 and then speak HTTP/2: on /grpc we serve, on /session the client does. Source: moby, the
routers `grpc` and `session`.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from lodge.api.backend import Backend
from lodge.api.buildkit.control import Control
from lodge.api.buildkit.gateway import Gateway
from lodge.api.buildkit.jobs import Jobs
from lodge.api.buildkit.sessions import Session, Sessions
from lodge.api.buildkit.transport import Line, Reception, serve
from lodge.errors import InvalidArgument

if TYPE_CHECKING:
    from lodge.api.call import Call

_ID = "x-docker-expose-session-uuid"
_SHARED_KEY = "x-docker-expose-session-sharedkey"
_METHOD = "x-docker-expose-session-grpc-method"


class Door:
    """All of it over one backend."""

    def __init__(self, backend: Backend) -> None:
        self._sessions = Sessions()
        jobs = Jobs(backend, self._sessions)
        services = [Control(backend, jobs).service(), Gateway(jobs).service()]
        self._reception = Reception(services)

    def protocol(self) -> asyncio.Protocol:
        """The protocol of a connection that spoke HTTP/2 from the beginning."""
        return self._reception.protocol()

    async def grpc(self, call: Call) -> None:
        """POST /grpc."""
        _check(call)
        fd, early = call.exchange.switch("h2c").take()
        await serve(self._reception.protocol(), socket.socket(fileno=fd), early)

    async def session(self, call: Call) -> None:
        """POST /session: the client's own services, until it leaves."""
        _check(call)
        name = call.header(_ID)
        if not name:
            raise InvalidArgument("the session has no id")
        methods = frozenset(part.strip() for part in call.header(_METHOD).split(","))
        shared_key = call.header(_SHARED_KEY)
        fd, early = call.exchange.switch("h2c").take()
        line = Line(socket.socket(fileno=fd), early)
        await self._sessions.hold(Session(name, shared_key, methods, line))


def _check(call: Call) -> None:
    if not call.header("upgrade"):
        raise InvalidArgument("no upgrade proto in request")
    if call.header("upgrade").lower() != "h2c":
        raise InvalidArgument(f"protocol {call.header('upgrade')} not supported")
