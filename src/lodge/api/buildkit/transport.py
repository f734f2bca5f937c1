"""gRPC on connections that are open already: as their server, and, for sessions, as their client.

The only module that knows the gRPC library (grpclib, on h2). Its channel and server would rather open sockets
themselves; here they get one that a client's upgrade has left over.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from grpclib.client import Channel, StreamStreamMethod, UnaryUnaryMethod
from grpclib.config import Configuration
from grpclib.const import Cardinality, Status
from grpclib.const import Handler as Method
from grpclib.encoding.base import CodecBase, StatusDetailsCodecBase
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.protocol import H2Protocol
from grpclib.server import Server

from lodge.api.buildkit.messages import STATUS
from lodge.api.buildkit.protobuf import Message, Schema

Act = Callable[[Any], Awaitable[None]]
_WINDOW = 8 << 20


class Codec(CodecBase):
    """Messages by our tables."""

    @property
    def __content_subtype__(self) -> str:
        return "proto"

    def encode(self, message: Message, message_type: Schema) -> bytes:
        """A message's bytes."""
        return message_type.encode(message)

    def decode(self, data: bytes, message_type: Schema) -> Message:
        """Bytes as a message."""
        return message_type.decode(data)


class Details(StatusDetailsCodecBase):
    """The details of an error: a list of (type, bytes)."""

    def encode(self, status: Status, message: str | None, details: Any) -> bytes:
        """As google.rpc.Status."""
        entries = [{"type_url": name, "value": value} for name, value in details]
        return STATUS.encode({"code": status.value, "message": message or "", "details": entries})

    def decode(self, status: Status, message: str | None, data: bytes) -> Any:
        """Not looked at."""
        del status, message, data
        return None


def _configuration() -> Configuration:
    return Configuration(http2_connection_window_size=_WINDOW, http2_stream_window_size=_WINDOW)


class Service:
    """Methods of one service as the library wants them: name to (kind, action, request, answer)."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._methods: dict[str, Method] = {}

    def unary(self, name: str, act: Act, request: Schema, answer: Schema) -> None:
        """One message each way."""
        self._methods[f"/{self._name}/{name}"] = Method(act, Cardinality.UNARY_UNARY, request, answer)

    def telling(self, name: str, act: Act, request: Schema, answer: Schema) -> None:
        """One message in, many out."""
        self._methods[f"/{self._name}/{name}"] = Method(act, Cardinality.UNARY_STREAM, request, answer)

    def talking(self, name: str, act: Act, request: Schema, answer: Schema) -> None:
        """Many messages each way."""
        self._methods[f"/{self._name}/{name}"] = Method(act, Cardinality.STREAM_STREAM, request, answer)

    def __mapping__(self) -> dict[str, Method]:
        return self._methods


class Reception(Server):
    """Serves services on connections that it is given."""

    def __init__(self, services: Iterable[Service]) -> None:
        super().__init__(
            list(services), codec=Codec(), status_details_codec=Details(), config=_configuration()
        )

    def protocol(self) -> H2Protocol:
        """The protocol of one connection."""
        return self._protocol_factory()


class Line(Channel):
    """A connection to call over, given as a socket; what was read of it already comes first."""

    def __init__(self, sock: socket.socket, early: bytes) -> None:
        super().__init__(
            "localhost", 0, codec=Codec(), status_details_codec=Details(), config=_configuration()
        )
        self._given: tuple[socket.socket, bytes] | None = (sock, early)
        self.ended = asyncio.Event()

    async def open(self) -> None:
        """Begin; the other side serves from here on."""
        await self.__connect__()

    async def _create_connection(self) -> H2Protocol:
        if self._given is None:
            raise StreamTerminatedError("the session has ended")
        (sock, early), self._given = self._given, None
        protocol = self._protocol_factory()
        lost = protocol.connection_lost

        def connection_lost(error: BaseException | None) -> None:
            self.ended.set()
            lost(error)

        protocol.connection_lost = connection_lost  # type: ignore[method-assign, assignment]
        await serve(protocol, sock, early)
        return protocol

    async def call(
        self, method: str, request: Schema, answer: Schema, message: Message, *, timeout: float = 30
    ) -> Message:
        """One message each way. GRPCError as the other side says it."""
        calling: Any = UnaryUnaryMethod
        reply: Message = await calling(self, method, request, answer)(message, timeout=timeout)
        return reply

    def stream(self, method: str, kind: Schema, metadata: Iterable[tuple[str, str]] = ()) -> Any:
        """Messages of one kind both ways: a context to send and receive in."""
        calling: Any = StreamStreamMethod
        return calling(self, method, kind, kind).open(metadata=list(metadata))


async def serve(protocol: H2Protocol, sock: socket.socket, early: bytes) -> asyncio.BaseTransport:
    """Let a protocol have an open socket; its transport may be closed to end it."""
    sock.setblocking(False)
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, sock)
    if early:
        protocol.data_received(early)
    return transport


__all__ = ["Codec", "GRPCError", "Line", "Reception", "Service", "Status", "StreamTerminatedError", "serve"]
