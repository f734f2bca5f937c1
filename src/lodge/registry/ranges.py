"""Ranges of bytes in requests: `Range` of a download (RFC 9110, 14.2), `Content-Range` of a chunk. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from lodge.registry.refusals import Refusal

_RANGE = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII)
_CHUNK = re.compile(r"(?:bytes[ =])?\s*(\d{1,18})-(\d{1,18})(?:/(?:\d{1,18}|\*))?", re.ASCII)


class Span(NamedTuple):
    """Bytes from `start` up to, not with, `end`."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.end - self.start


def of_download(header: str | None, size: int) -> Span | None:
    """The one range that is asked for; None when all is (no range, several, or a unit nobody knows).

    Raises Refusal 416 when nothing of it is inside.
    """
    if header is None:
        return None
    match = _RANGE.fullmatch(header)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        span = Span(max(0, size - int(last)), size)
    else:
        span = Span(int(first), min(size, int(last) + 1) if last else size)
    if span.start >= span.end:
        raise Refusal(
            "UNSUPPORTED", "range not satisfiable", 416, headers=(("Content-Range", f"bytes */{size}"),)
        )
    return span


def of_chunk(header: str | None) -> Span | None:
    """What a chunk says of itself: `<start>-<end>`, both inclusive. Raises Refusal for anything else."""
    if header is None:
        return None
    match = _CHUNK.fullmatch(header.strip())
    if match is None or int(match[2]) + 1 < int(match[1]):
        raise Refusal("BLOB_UPLOAD_INVALID", f"invalid Content-Range: {header[:100]!r}", 400)
    return Span(int(match[1]), int(match[2]) + 1)
