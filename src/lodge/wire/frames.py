"""Stream frames: the 8-byte headers with which Docker's API carries several streams over one connection.

A frame is `[stream, 0, 0, 0, length (big endian, 32 bits)]` and then its payload (Engine API, "Attach to a
container", stream format). Both directions live here: the monitor writes frames, the client reads them.
Pure bytes: no socket, no import beyond the error kinds, for the command line starts from here.
"""

from __future__ import annotations

from lodge.errors import Corrupt

STDIN = 0
STDOUT = 1
STDERR = 2
SYSTEM_ERROR = 3
"""An error of the engine itself, sent inside an already started stream."""

HEADER_SIZE = 8
MAX_PAYLOAD = 0xFFFF_FFFF

MULTIPLEXED_TYPE = "application/vnd.docker.multiplexed-stream"
RAW_TYPE = "application/vnd.docker.raw-stream"

_NOT_A_HEADER = 0xFCFF_FFFF_0000_0000
"""The bits that are zero in the eight bytes of every header: streams end at 3, then come three zeros."""

_PREFIXES = tuple(bytes((stream, 0, 0, 0)) for stream in range(4))


def header(stream: int, length: int) -> bytes:
    """The 8 bytes that announce `length` bytes of `stream` (0 to 3)."""
    return _PREFIXES[stream] + length.to_bytes(4, "big")


def encode(stream: int, payload: bytes) -> bytes:
    """One whole frame. A payload of more than 4 GiB - 1 must be cut by the caller."""
    return _PREFIXES[stream] + len(payload).to_bytes(4, "big") + payload


class Decoder:
    """Cuts a byte stream into pieces of its streams, in constant memory.

    A payload is handed out as it arrives, not when it is complete, so a frame of 1 GiB never has to fit
    into memory; neighbouring frames of one stream come out joined.
    """

    __slots__ = ("_head", "_left", "_stream")

    def __init__(self) -> None:
        self._head = b""
        self._stream = STDOUT
        self._left = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The pieces `(stream, bytes)` found in `data`, in order; `Corrupt` for a header that is none."""
        pieces: list[tuple[int, bytes]] = []
        if self._head:
            data = self._head + data
            self._head = b""
        position, end = 0, len(data)
        left, stream = self._left, self._stream
        run: list[bytes] = []
        to_number = int.from_bytes  # some engines send a frame a line, so this loop sees millions
        while position < end:
            if left == 0:
                if end - position < HEADER_SIZE:
                    self._head = data[position:]
                    break
                word = to_number(data[position : position + HEADER_SIZE], "big")
                if word & _NOT_A_HEADER:
                    raise Corrupt(f"unrecognized input header: {data[position]}")
                position += HEADER_SIZE
                left = word & MAX_PAYLOAD
                if word >> 56 != stream:
                    if run:
                        pieces.append((stream, b"".join(run)))
                        run = []
                    stream = word >> 56
            part = data[position : position + left]
            run.append(part)
            position += left
            left = 0
        if position > end:
            left = position - end
        if run:
            pieces.append((stream, b"".join(run)))
        self._left, self._stream = left, stream
        return pieces

    def close(self) -> None:
        """Say that the stream ended; `Corrupt` when it ended inside a frame."""
        if self._left or self._head:
            raise Corrupt("the stream ended in the middle of a frame")
