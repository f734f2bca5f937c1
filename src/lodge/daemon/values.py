"""From the text of a flag to the value that daemon.json would hold. Pure.

Kinds: text, flag (true or false), number, size (64m), list, map (key=value), features (key or key=bool),
runtimes (name=path), ulimits (nofile=1024:2048), pools (base=10.0.0.0/8,size=24), network-options
(driver=name=value), any (refused before it is read).
"""

from __future__ import annotations

import re
from typing import Any

from lodge.errors import InvalidArgument

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))

MANY = frozenset(("list", "map", "features", "runtimes", "ulimits", "pools", "network-options", "any"))
"""Kinds that may be given more than once."""


def boolean(text: str) -> bool:
    """Go's strconv.ParseBool; InvalidArgument for anything else."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise InvalidArgument(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def number(text: str) -> int:
    """A whole number."""
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        raise InvalidArgument(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def size(text: str) -> int:
    """Bytes: a number with a binary unit."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise InvalidArgument(f"invalid size: '{text}'")
    return int(float(found[1]) * 1024 ** " kmgtp".index(found[2].lower() or " "))


def ulimit(text: str) -> dict[str, Any]:
    """`nofile=1024[:2048]` as the file's entry."""
    name, equals, limits = text.partition("=")
    soft, colon, hard = limits.partition(":")
    try:
        low = int(soft)
        high = int(hard) if colon else low
    except ValueError:
        raise InvalidArgument(f"invalid ulimit argument: {text}") from None
    if not equals or not name or (high != -1 and (low > high or low == -1)):
        raise InvalidArgument(f"invalid ulimit argument: {text}")
    return {name: {"Name": name, "Soft": low, "Hard": high}}


def _pair(text: str) -> dict[str, Any]:
    key, _, value = text.partition("=")
    return {key: value}


def _feature(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    return {key: boolean(value) if equals else True}


def _runtime(text: str) -> dict[str, Any]:
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise InvalidArgument(f"invalid runtime (must be name=path): {text}")
    return {name: {"path": path}}


def _pool(text: str) -> dict[str, Any]:
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    if set(fields) != {"base", "size"} or not fields["size"].isdecimal():
        raise InvalidArgument(f"invalid pool, it is written as base=10.0.0.0/8,size=24: {text}")
    return {"base": fields["base"], "size": int(fields["size"])}


def _network_options(known: dict[str, dict[str, str]], text: str) -> dict[str, dict[str, str]]:
    driver, equals, rest = text.partition("=")
    name, second, value = rest.partition("=")
    if not equals or not second or not driver or not name:
        raise InvalidArgument(f"invalid key value pair format in driver options: {text}")
    return known | {driver: {**known.get(driver, {}), name: value}}


def merge(kind: str, known: Any, text: str) -> Any:
    """The value of an option after it was given (once more) with `text`."""
    match kind:
        case "flag":
            return boolean(text)
        case "number":
            return number(text)
        case "size":
            return size(text)
        case "list" | "any":
            return [*(known or ()), text]
        case "map":
            return (known or {}) | _pair(text)
        case "features":
            return (known or {}) | _feature(text)
        case "runtimes":
            return (known or {}) | _runtime(text)
        case "pools":
            return [*(known or ()), _pool(text)]
        case "network-options":
            return _network_options(known or {}, text)
        case "ulimits":
            return (known or {}) | ulimit(text)
        case _:
            return text
