"""The journal of systemd: one datagram of fields for each line, with the fields that Docker sets.

Source: systemd's "Native Journal Protocol". Sending is next door, in `forward`.
"""

from __future__ import annotations

import os
import socket
import stat
import struct

from lodge.runtime.logs.forward import Place
from lodge.runtime.messages import Forward
from lodge.spec.streams import STDERR

SOCKET = "/run/systemd/journal/socket"
_LENGTH = struct.Struct("<Q")
_ERROR, _INFORMATIONAL = b"3", b"6"


def present() -> bool:
    """Whether this host has a journal."""
    try:
        return stat.S_ISSOCK(os.stat(SOCKET).st_mode)
    except OSError:
        return False


def address() -> Place:
    """Where the journal listens."""
    return Place(socket.AF_UNIX, socket.SOCK_DGRAM, SOCKET)


def field(name: str, value: bytes) -> bytes:
    """One field: by a line, or, where the value has lines of its own, with its length."""
    if b"\n" in value:
        return name.encode() + b"\n" + _LENGTH.pack(len(value)) + value + b"\n"
    return name.encode() + b"=" + value + b"\n"


def field_name(text: str) -> str:
    """A label's or variable's name as a field's: capitals, digits and underscores, no underscore in front."""
    name = "".join(c if c.isalnum() and c.isascii() else "_" for c in text.upper())
    return name.lstrip("_")


class Formatter:
    """Lines as datagrams."""

    def __init__(self, wish: Forward) -> None:
        fixed = {
            "CONTAINER_ID": wish.container_id[:12],
            "CONTAINER_ID_FULL": wish.container_id,
            "CONTAINER_NAME": wish.container_name,
            "CONTAINER_TAG": wish.tag,
            "IMAGE_NAME": wish.image_name,
            "SYSLOG_IDENTIFIER": wish.tag,
        }
        fixed |= {name: value for key, value in wish.attributes.items() if (name := field_name(key))}
        self._fixed = b"".join(field(name, value.encode()) for name, value in fixed.items())

    def message(self, stream: int, line: bytes, at_ns: int, partial: bool) -> bytes:
        """One datagram."""
        seconds, rest = divmod(at_ns, 10**9)
        return b"".join(
            (
                field("MESSAGE", line),
                field("PRIORITY", _ERROR if stream == STDERR else _INFORMATIONAL),
                field("SYSLOG_TIMESTAMP", f"{seconds}.{rest:09d}".encode()),
                self._fixed,
                field("CONTAINER_PARTIAL_MESSAGE", b"true") if partial else b"",
            )
        )
