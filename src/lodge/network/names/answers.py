"""Writing answers: the question back, with addresses, a name or an error. RFC 1035, RFC 6891."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from lodge.network.names.question import (
    AAAA,
    CHECKING_DISABLED,
    HEADER,
    IN,
    OPT,
    PTR,
    RECURSION_AVAILABLE,
    RECURSION_DESIRED,
    RESPONSE,
    TRUNCATED,
    A,
    Question,
)

TTL = 600
LONGEST = 65535
# What we can take by UDP: no fragments (DNS flag day 2020).
_OWN_SIZE = 1232

# A name that points to the question's, type, class, TTL, length.
_RECORD = struct.Struct("!HHHIH")
_POINTER = 0xC000 | HEADER.size
_EDNS = struct.pack("!BHHIH", 0, OPT, _OWN_SIZE, 0, 0)


def addresses(message: bytes, question: Question, packed: Sequence[bytes], limit: int) -> bytes:
    """Addresses as 4 or 16 bytes each, in this order; beyond `limit` bytes cut off and marked so."""
    records = [
        _RECORD.pack(_POINTER, AAAA if len(one) == 16 else A, IN, TTL, len(one)) + one for one in packed
    ]
    return _answer(message, question, records, limit)


def name(message: bytes, question: Question, text: str, limit: int) -> bytes:
    """The name of a reverse look-up."""
    encoded = encode_name(text)
    return _answer(message, question, [_RECORD.pack(_POINTER, PTR, IN, TTL, len(encoded)) + encoded], limit)


def nothing(message: bytes, question: Question) -> bytes:
    """The name is there, but has nothing of this kind."""
    return _answer(message, question, [], LONGEST)


def _answer(message: bytes, question: Question, records: Sequence[bytes], limit: int) -> bytes:
    tail = _EDNS if question.edns else b""
    room = limit - question.end - len(tail)
    kept = 0
    for record in records:
        room -= len(record)
        if room < 0:
            break
        kept += 1
    flags = _flags(question.flags) | (TRUNCATED if kept < len(records) else 0)
    counts = struct.pack("!HHHHH", flags, 1, kept, 0, 1 if tail else 0)
    return b"".join((message[:2], counts, message[HEADER.size : question.end], *records[:kept], tail))


def error(message: bytes, code: int, question: Question | None = None) -> bytes:
    """An answer that says no more than why there is none; with the question where it could be read."""
    flags = _flags(int.from_bytes(message[2:4], "big")) | code
    asked = message[HEADER.size : question.end] if question is not None else b""
    return message[:2] + struct.pack("!HHHHH", flags, 1 if asked else 0, 0, 0, 0) + asked


def _flags(asked: int) -> int:
    return RESPONSE | RECURSION_AVAILABLE | asked & (RECURSION_DESIRED | CHECKING_DISABLED | 0x7800)


def encode_name(text: str) -> bytes:
    """A name as labels. What no name on a network may be (labels or the whole too long) is cut."""
    labels = [label.encode()[:63] for label in text.split(".") if label]
    encoded = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return encoded if len(encoded) <= 255 else b"\0"
