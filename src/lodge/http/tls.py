"""TLS on the server's side with half-closed connections, which asyncio's own TLS can't do.

A client of attach says that its input has ended by TLS's close_notify and goes on to read (Docker's command
does); asyncio answers that by closing the connection, and the rest of the output is lost. Here it is
`eof_received`, and writing goes on.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, cast

_HANDSHAKE_SECONDS = 15.0
_READ = 256 * 1024


class TlsLayer(asyncio.Protocol):
    """Stands between a socket's transport and the protocol of a connection."""

    def __init__(self, context: ssl.SSLContext, inner: asyncio.Protocol) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.inner = inner
        self._open = False
        self._ended = False
        self._deadline: asyncio.TimerHandle | None = None
        self._raw: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came: it has a while for the handshake."""
        self._raw = cast("asyncio.Transport", transport)
        self._deadline = asyncio.get_running_loop().call_later(_HANDSHAKE_SECONDS, self._raw.abort)

    def data_received(self, data: bytes) -> None:
        """Bytes from the net."""
        self._incoming.write(data)
        if not self._open and not self._shake():
            return
        self._read()

    def eof_received(self) -> bool:
        """The net has no more, with or without a close_notify."""
        if not self._open:
            return False
        return self._end()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is closed."""
        if self._deadline is not None:
            self._deadline.cancel()
        if self._open:
            self.inner.connection_lost(error)

    def pause_writing(self) -> None:
        """The client is slow."""
        if self._open:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._open:
            self.inner.resume_writing()

    def send(self, data: bytes) -> None:
        """Encrypt and send."""
        if not self._raw.is_closing():
            self._tls.write(data)
            self._flush()

    def goodbye(self) -> None:
        """Send close_notify: our last word."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # the client's close_notify is not awaited
        self._flush()

    def _shake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError:
            self._flush()  # the alert that says why
            self._raw.close()
            return False
        self._flush()
        self._open = True
        if self._deadline is not None:
            self._deadline.cancel()
        self.inner.connection_made(TlsTransport(self, self._raw))
        return True

    def _read(self) -> None:
        while not self._raw.is_closing():
            try:
                data = self._tls.read(_READ)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLError:
                self._raw.abort()
                return
            if not data:
                if not self._end():
                    self._raw.close()
                return
            self.inner.data_received(data)
        self._flush()  # answers to key updates and the like

    def _end(self) -> bool:
        if not self._ended:
            self._ended = True
            if not self.inner.eof_received():
                self.goodbye()
                return False
        return True

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._raw.write(data)


class TlsTransport(asyncio.Transport):
    """What the protocol of a connection writes to."""

    def __init__(self, layer: TlsLayer, raw: asyncio.Transport) -> None:
        super().__init__()
        self._layer = layer
        self._raw = raw
        self._said_goodbye = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the socket below; `sslcontext` says that it is of no use without us."""
        return True if name == "sslcontext" else self._raw.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give the plain bytes to another protocol from now on."""
        self._layer.inner = cast("asyncio.Protocol", protocol)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send."""
        if data and not self._said_goodbye:
            self._layer.send(bytes(data))

    def close(self) -> None:
        """Say goodbye, and close when all is sent."""
        if not self._raw.is_closing():
            self.write_eof()
            self._raw.close()

    def can_write_eof(self) -> bool:
        """A half-closed connection is possible."""
        return True

    def write_eof(self) -> None:
        """Say goodbye; reading goes on."""
        if not self._said_goodbye:
            self._said_goodbye = True
            self._layer.goodbye()

    def abort(self) -> None:
        """Close at once."""
        self._raw.abort()

    def is_closing(self) -> bool:
        """It is over."""
        return self._raw.is_closing()

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._raw.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As of the socket below."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """As of the socket below."""
        return self._raw.get_write_buffer_size()
