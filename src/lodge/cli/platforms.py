"""Platforms on the command line: "linux/arm64/v8"."""

from __future__ import annotations

from lodge.errors import InvalidArgument


def platform_json(text: str) -> str:
    """The API's JSON of `os/architecture[/variant]`."""
    from lodge.client.lean_json import dumps

    parts = text.split("/")
    if not 2 <= len(parts) <= 3 or "" in parts:
        raise InvalidArgument(f"invalid platform {text!r}: give it as os/architecture[/variant]")
    return dumps(dict(zip(("os", "architecture", "variant"), parts, strict=False)))
