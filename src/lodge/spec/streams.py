"""The frames in which the output of a program without a terminal travels (Docker's multiplexed stream).

A frame is eight bytes and a payload: the stream's number (1 standard output, 2 standard error), three zero
bytes, the length of the payload as 32 bits big endian. A terminal has one stream, which travels raw.
"""

from __future__ import annotations

import struct

STDOUT = 1
STDERR = 2

HEADER_SIZE = 8

_HEADER = struct.Struct(">BxxxI")


def header(stream: int, length: int) -> bytes:
    """The eight bytes before a payload of `length` bytes."""
    return _HEADER.pack(stream, length)


def frame(stream: int, payload: bytes) -> bytes:
    """A whole frame."""
    return _HEADER.pack(stream, len(payload)) + payload


def parse_header(data: bytes) -> tuple[int, int]:
    """(stream, length) of the frame that starts with these eight bytes."""
    stream, length = _HEADER.unpack(data)
    return stream, length
