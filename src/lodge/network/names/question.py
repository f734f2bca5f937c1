"""Reading a DNS message as far as a name server must: the header, one question, the size. RFC 1035."""

from __future__ import annotations

import struct
from typing import NamedTuple

A = 1
PTR = 12
AAAA = 28
OPT = 41
ANY = 255

IN = 1
ANY_CLASS = 255

NOERROR = 0
FORMERR = 1
SERVFAIL = 2
NXDOMAIN = 3
NOTIMP = 4
REFUSED = 5

HEADER = struct.Struct("!HHHHHH")
_PAIR = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")

RESPONSE = 0x8000
TRUNCATED = 0x0200
RECURSION_DESIRED = 0x0100
RECURSION_AVAILABLE = 0x0080
CHECKING_DISABLED = 0x0010
_OPCODE = 0x7800

SMALLEST_LIMIT = 512
_LONGEST_NAME = 255
_LONGEST_LABEL = 63


class Malformed(Exception):
    """Bytes that are no question; `code` is what to answer."""

    def __init__(self, code: int) -> None:
        super().__init__(f"rcode {code}")
        self.code = code


class Question(NamedTuple):
    """One question: `name` in lower case without the last dot, `end` the offset behind it in the message.

    `limit` is how long an answer by UDP may be, `edns` whether the client speaks EDNS (RFC 6891).
    """

    flags: int
    name: bytes
    kind: int
    family: int
    end: int
    limit: int
    edns: bool


def read_question(message: bytes) -> Question:
    """Read a query; Malformed when it can't be answered but by an error (FORMERR, NOTIMP)."""
    _, flags, questions, answers, authorities, additional = HEADER.unpack_from(message)
    if flags & _OPCODE:
        raise Malformed(NOTIMP)
    if questions != 1 or answers or authorities:
        raise Malformed(FORMERR)
    name, place = read_name(message, HEADER.size)
    if place + _PAIR.size > len(message):
        raise Malformed(FORMERR)
    kind, family = _PAIR.unpack_from(message, place)
    end = place + _PAIR.size
    size = _edns_size(message, end, additional)
    return Question(flags, name, kind, family, end, max(SMALLEST_LIMIT, size), size >= 0)


def is_query(message: bytes) -> bool:
    """Whether it has a header and is no answer. Anything else gets no answer: it could go in circles."""
    return len(message) >= HEADER.size and not message[2] & 0x80


def read_name(message: bytes, place: int) -> tuple[bytes, int]:
    """A name without compression, as a question has it: (lower case with dots, the offset behind it)."""
    labels = []
    start = place
    while True:
        if place >= len(message):
            raise Malformed(FORMERR)
        length = message[place]
        place += 1
        if not length:
            break
        if length > _LONGEST_LABEL or place + length >= len(message):
            raise Malformed(FORMERR)
        labels.append(message[place : place + length])
        place += length
    if place - start > _LONGEST_NAME:
        raise Malformed(FORMERR)
    return b".".join(labels).lower(), place


def _edns_size(message: bytes, place: int, records: int) -> int:
    """The UDP size of the OPT record behind the question, -1 without one."""
    try:
        for _ in range(min(records, 4)):
            _, place = read_name(message, place)
            kind, size, _, length = _RECORD.unpack_from(message, place)
            if kind == OPT:
                return int(size)
            place += _RECORD.size + length
    except (Malformed, struct.error):
        pass
    return -1
