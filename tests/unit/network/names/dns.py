"""A second pair of eyes for DNS messages: written apart from the room's own codec, slow and plain."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple


class Record(NamedTuple):
    name: str
    kind: int
    ttl: int
    data: str


class Message(NamedTuple):
    id: int
    flags: int
    questions: list[tuple[str, int]]
    answers: list[Record]
    edns: int | None

    @property
    def code(self) -> int:
        return self.flags & 0xF

    @property
    def data(self) -> list[str]:
        return [record.data for record in self.answers]


def query(
    name: str, kind: int = 1, *, number: int = 77, flags: int = 0x0100, edns: int | None = None
) -> bytes:
    extra = b"" if edns is None else struct.pack("!BHHIH", 0, 41, edns, 0, 0)
    head = struct.pack("!HHHHHH", number, flags, 1, 0, 0, 1 if extra else 0)
    return head + labels(name) + struct.pack("!HH", kind, 1) + extra


def labels(name: str) -> bytes:
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part) + b"\0"


def response(asked: bytes, addresses: list[str], code: int = 0, number: int | None = None) -> bytes:
    """What an upstream says to a question without EDNS."""
    place = 12
    while asked[place]:
        place += 1 + asked[place]
    question = asked[12 : place + 5]
    body = b"".join(struct.pack("!HHHIH", 0xC00C, 1, 1, 5, 4) + socket.inet_aton(one) for one in addresses)
    head = struct.pack(
        "!HHHHHH",
        int.from_bytes(asked[:2], "big") if number is None else number,
        0x8180 | code,
        1,
        len(addresses),
        0,
        0,
    )
    return head + question + body


def read(message: bytes) -> Message:
    number, flags, questions, answers, authorities, additional = struct.unpack_from("!HHHHHH", message)
    assert authorities == 0
    place = 12
    asked = []
    for _ in range(questions):
        name, place = _name(message, place)
        kind, _ = struct.unpack_from("!HH", message, place)
        place += 4
        asked.append((name, kind))
    found = []
    for _ in range(answers):
        record, place = _record(message, place)
        found.append(record)
    edns = None
    for _ in range(additional):
        name, place = _name(message, place)
        kind, size, _, length = struct.unpack_from("!HHIH", message, place)
        place += 10 + length
        assert kind == 41
        edns = size
    assert place == len(message)
    return Message(number, flags, asked, found, edns)


def _record(message: bytes, place: int) -> tuple[Record, int]:
    name, place = _name(message, place)
    kind, _, ttl, length = struct.unpack_from("!HHIH", message, place)
    place += 10
    data = message[place : place + length]
    if kind == 12:
        text, _ = _name(message, place)
    else:
        text = socket.inet_ntop(socket.AF_INET if length == 4 else socket.AF_INET6, data)
    return Record(name, kind, ttl, text), place + length


def _name(message: bytes, place: int) -> tuple[str, int]:
    parts = []
    while length := message[place]:
        if length >= 0xC0:
            rest, _ = _name(message, struct.unpack_from("!H", message, place)[0] & 0x3FFF)
            return ".".join([*parts, rest]), place + 2
        parts.append(message[place + 1 : place + 1 + length].decode("latin-1"))
        place += 1 + length
    return ".".join(parts), place + 1
