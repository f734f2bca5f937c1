"""Sessions: connections on which a client serves and we call: its files, secrets, logins and agents.

A client opens one beside its build (POST /session) and names it; the build then names the session.
Source: moby/buildkit, session/*.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

from lodge.api.buildkit import messages as m
from lodge.api.buildkit.transport import GRPCError, Line, Status, StreamTerminatedError
from lodge.errors import LodgeError, NotFound, Unavailable

_log = logging.getLogger("lodge.api")
_PATIENCE = 5.0
_PIECE = 32 << 10

_CREDENTIALS = "/moby.filesync.v1.Auth/Credentials"
_SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
_CHECK_AGENT = "/moby.sshforward.v1.SSH/CheckAgent"
_FORWARD_AGENT = "/moby.sshforward.v1.SSH/ForwardAgent"
_UPLOAD = "/moby.upload.v1.Upload/Pull"


class Session:
    """One client's session. `methods` are those that it serves; `shared_key` names its tree over builds.

    Fulfils build.contract's Secrets, and through `agents` its SshAgents.
    """

    def __init__(self, id: str, shared_key: str, methods: frozenset[str], line: Line) -> None:
        self.id = id
        self.shared_key = shared_key
        self.methods = methods
        self.line = line

    async def get(self, id: str) -> bytes | None:
        """A secret's value; None when the client has none of that name."""
        if _SECRET not in self.methods:
            return None
        try:
            answer = await self.line.call(_SECRET, m.SECRET_REQUEST, m.SECRET_RESPONSE, {"ID": id})
        except GRPCError as error:
            if error.status is Status.NOT_FOUND:
                return None
            raise failure(error) from error
        return bytes(answer["data"])

    async def credentials(self, domain: str) -> dict[str, str]:
        """The client's login at a registry; empty when it has none."""
        # Clients know Docker Hub by the name of its registry's host.
        host = "registry-1.docker.io" if domain == "docker.io" else domain
        if _CREDENTIALS not in self.methods:
            return {}
        try:
            answer = await self.line.call(
                _CREDENTIALS, m.CREDENTIALS_REQUEST, m.CREDENTIALS_RESPONSE, {"Host": host}
            )
        except GRPCError as error:
            _log.debug("the client has no login at %s: %s", host, error.message)
            return {}
        if not answer["Secret"]:
            return {}
        if not answer["Username"]:
            return {"identitytoken": answer["Secret"]}
        return {"username": answer["Username"], "password": answer["Secret"]}

    async def connect(self, id: str) -> int | None:
        """A socket to one of the client's ssh agents; None when it has none of that name."""
        if _FORWARD_AGENT not in self.methods:
            return None
        try:
            await self.line.call(_CHECK_AGENT, m.CHECK_AGENT_REQUEST, m.EMPTY, {"ID": id})
        except GRPCError:
            return None
        ours, theirs = socket.socketpair()
        carrying = asyncio.get_running_loop().create_task(self._carry(id, ours))
        _background.add(carrying)
        carrying.add_done_callback(_background.discard)
        return theirs.detach()

    async def _carry(self, id: str, sock: socket.socket) -> None:
        """Bytes between a socket here and an agent there, until either ends."""
        reader, writer = await asyncio.open_connection(sock=sock)
        with contextlib.suppress(GRPCError, StreamTerminatedError, OSError):
            async with self.line.stream(_FORWARD_AGENT, m.PIECE, [("id", id)]) as stream:
                upward = asyncio.ensure_future(_upward(reader, stream))
                try:
                    async for message in stream:
                        writer.write(message["data"])
                        await writer.drain()
                finally:
                    upward.cancel()
        writer.close()

    async def upload(self, id: str, path: str) -> None:
        """Bring a stream of the client (its standard input) into a file."""
        with open(path, "wb") as file:
            try:
                async with self.line.stream(_UPLOAD, m.PIECE, [("urlpath", f"/{id}")]) as stream:
                    await stream.send_request(end=True)
                    async for message in stream:
                        file.write(message["data"])
            except GRPCError as error:
                raise failure(error) from error


_background: set[asyncio.Task[None]] = set()


async def _upward(reader: asyncio.StreamReader, stream: object) -> None:
    while data := await reader.read(_PIECE):
        await stream.send_message({"data": data})  # type: ignore[attr-defined]
    await stream.end()  # type: ignore[attr-defined]


def failure(error: GRPCError | StreamTerminatedError) -> LodgeError:
    """What the client answered, or that it went away, as an error of ours."""
    if isinstance(error, StreamTerminatedError):
        return Unavailable(f"the client's session broke off: {error}")
    kind = NotFound if error.status is Status.NOT_FOUND else Unavailable
    return kind(error.message or error.status.name.lower())


class Sessions:
    """All sessions that are open, by id."""

    def __init__(self) -> None:
        self._open: dict[str, Session] = {}
        self._news = asyncio.Condition()

    async def hold(self, session: Session) -> None:
        """Have it until its connection ends."""
        async with self._news:
            self._open[session.id] = session
            self._news.notify_all()
        try:
            await session.line.open()
            await session.line.ended.wait()
        finally:
            if self._open.get(session.id) is session:
                del self._open[session.id]
            session.line.close()

    async def get(self, id: str) -> Session:
        """One by its id; the client opens it at about the same time as it asks for the build."""
        try:
            async with asyncio.timeout(_PATIENCE), self._news:
                await self._news.wait_for(lambda: id in self._open)
        except TimeoutError:
            raise NotFound(f"no active session for {id}: context deadline exceeded") from None
        return self._open[id]
