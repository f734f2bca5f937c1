"""Protocol buffers as far as gRPC needs them here: messages as dicts, described by small tables.

Source: the encoding's description at protobuf.dev (wire types 0, 1, 2 and 5, packed and unpacked repeats,
maps as repeated entries). A field that is not in the table is skipped; a missing one has its kind's empty
value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec import Struct

from lodge.errors import InvalidArgument

Message: TypeAlias = dict[str, Any]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MASK = (1 << 64) - 1
_DEEPEST = 32


class Scalar(Struct, frozen=True):
    """A kind of plain value: its wire type, its empty value, and how it is written and read."""

    name: str
    wire: int
    empty: Any
    write: Callable[[Any], bytes]
    read: Callable[[Any], Any]


def varint(number: int) -> bytes:
    """A number in groups of seven bits; a negative one as its 64-bit complement."""
    number &= _MASK
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _sized(data: bytes) -> bytes:
    return varint(len(data)) + data


def _text(data: memoryview) -> str:
    return bytes(data).decode("utf-8", "replace")


TEXT = Scalar("text", _BYTES, "", lambda value: _sized(value.encode()), _text)
RAW = Scalar("bytes", _BYTES, b"", _sized, bytes)
NUMBER = Scalar("number", _VARINT, 0, varint, _signed)
FLAG = Scalar("flag", _VARINT, False, lambda value: b"\x01" if value else b"\x00", bool)


class Many(Struct, frozen=True):
    """A repeated field."""

    of: Scalar | Schema


class Mapping(Struct, frozen=True):
    """A map from texts."""

    to: Scalar | Schema


Kind: TypeAlias = "Scalar | Schema | Many | Mapping"


class Schema:
    """A message's fields: name to (number, kind). `encode` and `decode` are inverse but for unknown ones."""

    def __init__(self, name: str, /, **fields: tuple[int, Kind]) -> None:
        self.name = name
        self.fields = fields
        self._by_number = {number: (field, kind) for field, (number, kind) in fields.items()}

    def encode(self, message: Message) -> bytes:
        """Write; empty values are left out. KeyError for a field that the schema does not have."""
        out = bytearray()
        for field, value in message.items():
            number, kind = self.fields[field]
            if isinstance(kind, Many):
                for each in value:
                    out += _field(number, kind.of, each)
            elif isinstance(kind, Mapping):
                for key, each in value.items():
                    out += _entry(number, kind.to, key, each)
            elif value or (isinstance(kind, Schema) and value is not None):
                out += _field(number, kind, value)
        return bytes(out)

    def decode(self, data: bytes | memoryview, depth: int = 0) -> Message:
        """Read; InvalidArgument for what is no such message."""
        if depth > _DEEPEST:
            raise InvalidArgument(f"a message of the kind {self.name} is nested too deeply")
        message: Message = {field: _empty(kind) for field, (_, kind) in self.fields.items()}
        try:
            for number, wire, value in _parts(memoryview(data)):
                if number in self._by_number:
                    field, kind = self._by_number[number]
                    _take(message, field, kind, wire, value, depth)
        except (IndexError, ValueError, TypeError) as error:
            raise InvalidArgument(f"this is no message of the kind {self.name}: {error}") from error
        return message


def _field(number: int, kind: Scalar | Schema, value: Any) -> bytes:
    if isinstance(kind, Schema):
        return varint(number << 3 | _BYTES) + _sized(kind.encode(value))
    return varint(number << 3 | kind.wire) + kind.write(value)


def _entry(number: int, kind: Scalar | Schema, key: str, value: Any) -> bytes:
    return varint(number << 3 | _BYTES) + _sized(_field(1, TEXT, key) + _field(2, kind, value))


def _empty(kind: Kind) -> Any:
    if isinstance(kind, Many):
        return []
    if isinstance(kind, Mapping):
        return {}
    return None if isinstance(kind, Schema) else kind.empty


def _number(view: memoryview, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = view[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & _MASK, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _parts(view: memoryview) -> list[tuple[int, int, Any]]:
    """The fields of a message as (number, wire type, number or bytes)."""
    found: list[tuple[int, int, Any]] = []
    at, end = 0, len(view)
    while at < end:
        tag, at = _number(view, at)
        wire = tag & 7
        value: Any
        if wire == _VARINT:
            value, at = _number(view, at)
        elif wire == _BYTES:
            size, at = _number(view, at)
            value, at = view[at : at + size], at + size
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
            value, at = int.from_bytes(view[at : at + size], "little"), at + size
        else:
            raise ValueError(f"wire type {wire}")
        if at > end:
            raise ValueError("it is cut off")
        found.append((tag >> 3, wire, value))
    return found


def _take(message: Message, field: str, kind: Kind, wire: int, value: Any, depth: int) -> None:
    if isinstance(kind, Mapping):
        key, each = "", _empty(kind.to)
        for number, inner_wire, inner in _parts(value):
            if number == 1:
                key = _value(TEXT, inner_wire, inner, depth)
            elif number == 2:
                each = _value(kind.to, inner_wire, inner, depth)
        message[field][key] = each
    elif isinstance(kind, Many):
        if isinstance(kind.of, Scalar) and kind.of.wire == _VARINT and wire == _BYTES:
            at = 0
            while at < len(value):
                packed, at = _number(value, at)
                message[field].append(kind.of.read(packed))
        else:
            message[field].append(_value(kind.of, wire, value, depth))
    else:
        message[field] = _value(kind, wire, value, depth)


def _value(kind: Scalar | Schema, wire: int, value: Any, depth: int) -> Any:
    expected = _BYTES if isinstance(kind, Schema) else kind.wire
    if wire != expected:
        raise ValueError(f"wire type {wire} where {expected} belongs")
    return kind.decode(value, depth + 1) if isinstance(kind, Schema) else kind.read(value)
