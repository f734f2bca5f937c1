"""How much a client may ask of us: bytes and seconds, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one connection. Sizes are bytes, times are seconds."""

    head: int = 64 * 1024
    """The request line and all headers together."""

    ahead: int = 64 * 1024
    """Bytes of further requests that are kept while one is being answered."""

    body_buffer: int = 512 * 1024
    """Bytes of a body that wait for its reader before the client is told to wait."""

    write_buffer: int = 512 * 1024
    """Bytes of an answer that wait for the client before its maker is told to wait."""

    file_piece: int = 8 * 1024 * 1024
    """Bytes of a file that a client must take within `body_seconds`."""

    head_seconds: float = 30.0
    """From the first byte of a request to the end of its head (slowloris)."""

    idle_seconds: float = 0.0
    """How long a connection without a request is kept; 0 for as long as its client likes."""

    body_seconds: float = 120.0
    """Longest silence in the middle of a body that is read as a whole."""

    linger_seconds: float = 3.0
    """How long the rest of an unwanted body is thrown away before the connection is closed."""
