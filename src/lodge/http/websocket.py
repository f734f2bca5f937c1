"""The server's side of websocket (RFC 6455), as far as an attached stream needs it: no extensions.

Pure but for the hash: bytes in, payloads and replies out. `handover.Relay` carries them.
"""

from __future__ import annotations

import base64
import hashlib

from lodge.errors import InvalidArgument
from lodge.http.head import Head

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_MAX_CONTROL = 125
_MAX_FRAME = 16 * 1024 * 1024


def accept_lines(head: Head) -> bytes:
    """The headers that accept a handshake; InvalidArgument when the request is none."""
    headers = head.headers
    key = headers.get("sec-websocket-key", "")
    if headers.get("upgrade", "").lower() != "websocket" or not key:
        raise InvalidArgument("bad websocket handshake: Upgrade and Sec-WebSocket-Key headers are required")
    if headers.get("sec-websocket-version", "13") != "13":
        raise InvalidArgument("bad websocket handshake: only version 13 is supported")
    digest = hashlib.sha1(key.encode("latin-1") + _GUID, usedforsecurity=False).digest()
    lines = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n" % base64.b64encode(
        digest
    )
    protocol = headers.get("sec-websocket-protocol", "").split(",")[0].strip()
    if protocol and protocol.isascii() and protocol.isprintable():
        lines += f"Sec-WebSocket-Protocol: {protocol}\r\n".encode("ascii")
    return lines


def unmask(data: bytes, mask: bytes) -> bytes:
    """Apply a 4-byte mask to a payload: one big number instead of a loop over bytes."""
    size = len(data)
    stream = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(stream, "little")).to_bytes(size, "little")


def frame(opcode: int, payload: bytes) -> bytes:
    """One final, unmasked frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 0x10000:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


class Codec:
    """Frames of one connection: a Translator for the relay."""

    __slots__ = ("_closed", "_waiting")

    def __init__(self) -> None:
        self._waiting = b""
        self._closed = False

    def receive(self, data: bytes) -> tuple[list[bytes], list[bytes], bool]:
        """Payloads, replies (pong, close), and whether the client closed or broke the protocol."""
        self._waiting += data
        payloads: list[bytes] = []
        replies: list[bytes] = []
        while not self._closed:
            try:
                found = _parse(self._waiting)
            except InvalidArgument:
                replies.append(self._close(1002))
                break
            if found is None:
                break
            opcode, payload, used = found
            self._waiting = self._waiting[used:]
            if opcode in (_TEXT, _BINARY, _CONTINUATION):
                payloads.append(payload)
            elif opcode == _PING:
                replies.append(frame(_PONG, payload))
            elif opcode == _CLOSE:
                replies.append(self._close(1000))
        return payloads, replies, self._closed

    def send(self, data: bytes) -> bytes:
        """One binary frame."""
        return b"" if self._closed else frame(_BINARY, data)

    def goodbye(self) -> bytes:
        """The close frame, once."""
        return self._close(1000)

    def _close(self, code: int) -> bytes:
        if self._closed:
            return b""
        self._closed = True
        self._waiting = b""
        return frame(_CLOSE, code.to_bytes(2, "big"))


def _parse(data: bytes) -> tuple[int, bytes, int] | None:
    """Opcode, payload and length of the first frame; None when it is not whole yet."""
    if len(data) < 2:
        return None
    opcode, size, position = data[0] & 0x0F, data[1] & 0x7F, 2
    control = opcode >= _CLOSE
    if data[0] & 0x70 or not data[1] & 0x80 or opcode in (3, 4, 5, 6, 7) or opcode > _PONG:
        raise InvalidArgument("websocket: reserved bits, an unmasked frame or an unknown opcode")
    if control and (size > _MAX_CONTROL or not data[0] & 0x80):
        raise InvalidArgument("websocket: a control frame is too long or in parts")
    if size >= 126:
        width = 2 if size == 126 else 8
        position += width
        size = int.from_bytes(data[2:position], "big") if len(data) >= position else 0
    if size > _MAX_FRAME:
        raise InvalidArgument("websocket: a frame is too long")
    end = position + 4 + size
    if len(data) < end:
        return None
    return opcode, unmask(data[position + 4 : end], data[position : position + 4]), end
