"""JSON bodies as Docker reads them: names in any case, null for "not given", unknown members passed over.

Turns bytes into the typed values of `spec` and of the requests here. Pure.
"""

from __future__ import annotations

import functools
from typing import Any, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct

from lodge.errors import InvalidArgument

T = TypeVar("T", bound=Struct)

LIMIT = 4 * 1024 * 1024
"""Bytes of a JSON body at most."""

_WORDS = frozenset(("Cmd", "Entrypoint", "Shell"))
_MAX_DEPTH = 64


def check_content_type(value: str, *, empty: bool) -> None:
    """InvalidArgument unless the body says that it is JSON (or there is no body)."""
    if not value and empty:
        return
    kind = value.partition(";")[0].strip().lower()
    if not kind:
        raise InvalidArgument("malformed Content-Type header (): mime: no media type")
    if kind != "application/json":
        raise InvalidArgument(f"unsupported Content-Type header ({value}): must be 'application/json'")


def parse(data: bytes) -> Any:
    """Any JSON value; InvalidArgument with Docker's beginnings of sentences."""
    if not data.strip():
        raise InvalidArgument("invalid JSON: got EOF while reading request body")
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        raise InvalidArgument("invalid JSON: exceeded max depth") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if "trailing characters" in str(error):
            raise InvalidArgument("unexpected content after JSON") from None
        if "truncated" in str(error):
            raise InvalidArgument("invalid JSON: unexpected EOF") from None
        raise InvalidArgument(f"invalid JSON: {error}") from None


def decode(data: bytes, kind: type[T]) -> T:
    """A typed value out of a body."""
    return convert(parse(data), kind)


def convert(value: Any, kind: type[T]) -> T:
    """A typed value out of a parsed one."""
    if not isinstance(value, dict):
        name = _json_name(value)
        raise InvalidArgument(
            f"invalid JSON: json: cannot unmarshal {name} into Go value of type {kind.__name__}"
        )
    try:
        return msgspec.convert(normalise(value, kind), kind)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None


def normalise(value: Any, kind: Any, depth: int = 0) -> Any:
    """Give members their right case, drop nulls and unknown members, wherever `kind` knows them."""
    if depth > _MAX_DEPTH:
        raise InvalidArgument("invalid JSON: exceeded max depth")
    kind = _bare(kind)
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, Struct):
        return _normalise_struct(value, kind, depth)
    arguments = get_args(kind)
    if isinstance(value, list) and get_origin(kind) is list:
        return [normalise(one, arguments[0], depth + 1) for one in value if one is not None]
    if isinstance(value, dict) and get_origin(kind) is dict:
        plain = _bare(arguments[1]) in (str, Any)
        return {
            key: one if plain and one is not None else normalise(one, arguments[1], depth + 1)
            for key, one in value.items()
            if one is not None or _bare(arguments[1]) is not str
        }
    return value


def _normalise_struct(value: dict[str, Any], kind: type[Struct], depth: int) -> dict[str, Any]:
    members = _members(kind)
    out: dict[str, Any] = {}
    for key, one in value.items():
        found = members.get(key) or members.get(key.lower())
        if found is None or one is None:
            continue
        name, member = found
        if name in _WORDS and isinstance(one, str):
            one = [one] if one else []
        out[name] = normalise(one, member, depth + 1)
    return out


@functools.cache
def _members(kind: type[Struct]) -> dict[str, tuple[str, Any]]:
    """Names as written and in lower case, with their types."""
    fields = msgspec.structs.fields(kind)
    exact = {field.encode_name: (field.encode_name, field.type) for field in fields}
    return {name.lower(): found for name, found in exact.items()} | exact


@functools.cache
def _bare(kind: Any) -> Any:
    """`X | None` without the None."""
    options = [option for option in get_args(kind) if option is not type(None)]
    return options[0] if len(options) == 1 and type(None) in get_args(kind) else kind


def _json_name(value: Any) -> str:
    names = {list: "array", str: "string", bool: "bool", int: "number", float: "number", type(None): "null"}
    return names.get(type(value), "value")
