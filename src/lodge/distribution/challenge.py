"""What a registry asks for in WWW-Authenticate (RFC 9110, section 11.6.1). Pure, for hostile text."""

from __future__ import annotations

import re

from msgspec import Struct

_LONGEST = 16 << 10
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"\s*,*\s*({_TOKEN})(?:\s+|$)")
_PARAMETER = re.compile(rf'\s*,*\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}|[^\s,"]+))\s*')


class Challenge(Struct, frozen=True):
    """A scheme in lower case ("bearer", "basic") and its parameters, names in lower case."""

    scheme: str
    parameters: dict[str, str]


def parse(text: str) -> list[Challenge]:
    """Read one or more challenges; what can't be read ends the list."""
    found: list[Challenge] = []
    position = 0
    text = text[:_LONGEST]
    while match := _SCHEME.match(text, position):
        position = match.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(text, position):
            position = parameter.end()
            quoted = parameter[2]
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else parameter[3]
            parameters.setdefault(parameter[1].lower(), value)
        found.append(Challenge(match[1].lower(), parameters))
    return found
