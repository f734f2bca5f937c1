"""Output cut into what is logged at once: groups of whole lines, and pieces of lines that are too long.

Pure. As with Docker, an entry holds at most 16 KiB; the pieces of a longer line are entries without a
newline. Unlike Docker, a piece never ends within a UTF-8 character.
"""

from __future__ import annotations

PIECE = 16 * 1024


class Cutter:
    """One stream's state: the beginning of a line whose end has not come yet."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Groups and pieces in order; a group is whole lines, a piece does not end in a newline."""
        if self.rest:
            data = self.rest + data
        end = data.rfind(b"\n") + 1
        if end == len(data) and end <= PIECE:
            self.rest = b""
            return [data]
        return self._cut(data)

    def _cut(self, data: bytes) -> list[bytes]:
        entries: list[bytes] = []
        group = start = 0
        while len(data) - start >= PIECE:
            newline = data.rfind(b"\n", start, start + PIECE)
            if newline >= 0:
                start = newline + 1
                continue
            if group < start:
                entries.append(data[group:start])
            cut = _character_boundary(data, start + PIECE)
            entries.append(data[start:cut])
            group = start = cut
        end = data.rfind(b"\n", start) + 1
        if end > group:
            entries.append(data[group:end])
            group = end
        elif start > group:
            entries.append(data[group:start])
            group = start
        self.rest = data[group:]
        return entries

    def finish(self) -> bytes:
        """The last line if it has no end."""
        rest, self.rest = self.rest, b""
        return rest


def _character_boundary(data: bytes, at: int) -> int:
    """The nearest place at or up to three bytes before `at` where no character is split."""
    for place in range(at, at - 4, -1):
        if place == len(data) or data[place] & 0xC0 != 0x80:
            return place
    return at
