"""An ssh agent for a RUN: a socket in the container, each connection passed on to the asker's agent."""

from __future__ import annotations

import asyncio
import os
import socket

from lodge.build.contract import SshAgents

_PIECE = 1 << 16


class AgentRelay:
    """One socket. `open` and `close` once each."""

    def __init__(self, agents: SshAgents, id: str) -> None:
        self._agents = agents
        self._id = id
        self._server: asyncio.AbstractServer | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def open(self, path: str, *, mode: int, uid: int, gid: int) -> None:
        """Listen at a path."""
        self._server = await asyncio.start_unix_server(self._serve, path)
        os.chmod(path, mode)
        os.chown(path, uid, gid)

    async def close(self) -> None:
        """Stop, with all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            fd = await self._agents.connect(self._id)
            if fd is None:
                return
            agent_reader, agent_writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=fd))
            try:
                await asyncio.gather(_pump(reader, agent_writer), _pump(agent_reader, writer))
            finally:
                agent_writer.close()
        except OSError:
            # One of the two went away; the other learns of it by the end of its connection.
            pass
        finally:
            self._open.discard(task)
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
