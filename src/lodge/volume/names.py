"""Names of volumes: they become directories, so the rule is also what keeps a path inside its root."""

from __future__ import annotations

import re
import secrets

from lodge.errors import InvalidArgument

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)
_LONGEST = 255


def is_name(text: str) -> bool:
    """Whether a volume could have this name."""
    return len(text) <= _LONGEST and _NAME.fullmatch(text) is not None


def check_name(name: str) -> None:
    """InvalidArgument, in Docker's words, for what can't be the name of a volume."""
    if len(name) == 1:
        raise InvalidArgument(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if _NAME.fullmatch(name) is None:
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
            "If you intended to pass a host directory, use absolute path"
        )
    if len(name) > _LONGEST:
        raise InvalidArgument(f"create {name[:32]}...: the volume name is longer than {_LONGEST} characters")


def anonymous_name() -> str:
    """A name for a volume that nobody named: 64 hexadecimal digits."""
    return secrets.token_hex(32)
