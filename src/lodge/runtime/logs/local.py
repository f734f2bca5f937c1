"""A compact format of our own for the driver `local`: the output as it is, in records of many lines.

    record  = header attributes text length
    header  = magic (0xA7), stream (1 or 2), two zeros, length of the attributes (4 bytes), length of the text
              (4 bytes), time in nanoseconds since the epoch (8 bytes)
    length  = that of all before it (4 bytes): a record that a crash tore does not end in its own length

All numbers are big endian. The text is at most 16 KiB: whole lines, or a piece of a line. The attributes are
a JSON object or nothing.
"""

from __future__ import annotations

import struct

import msgspec

from lodge.runtime.logs.view import Stamper, View, show_attributes, time_text

_HEADER = struct.Struct(">BBxxIIQ")
_LENGTH = struct.Struct(">I")
_MAGIC = 0xA7
_LARGEST = 16 * 1024
_ATTRIBUTES_LIMIT = 16 << 20


class Encoder:
    """Writes records; `attributes` go into each of them."""

    def __init__(self, attributes: dict[str, str]) -> None:
        self._attributes = msgspec.json.encode(attributes) if attributes else b""
        self._stamper = Stamper()

    def encode(self, stream: int, group: bytes, at_ns: int) -> bytes:
        """A group of whole lines, or a piece of a line, as records."""
        at_ns = self._stamper.distinct(at_ns)
        records: list[bytes] = []
        start = 0
        while start < len(group):
            end = len(group)
            if end - start > _LARGEST:
                end = group.rfind(b"\n", start, start + _LARGEST) + 1
            header = _HEADER.pack(_MAGIC, stream, len(self._attributes), end - start, at_ns)
            length = len(header) + len(self._attributes) + end - start
            records += (header, self._attributes, group[start:end], _LENGTH.pack(length))
            start = end
        return b"".join(records)

    def boundary(self, entries: bytes, at: int) -> int:
        """Where the record ends in which the place `at` lies."""
        end = 0
        while end <= at and end < len(entries):
            end += _HEADER.size + sum(_HEADER.unpack_from(entries, end)[2:4]) + _LENGTH.size
        return end

    def lines(self, entries: bytes) -> int:
        """How many lines some entries of whole lines hold."""
        return count_lines(entries)


class Decoder:
    """Turns blocks of whole records into what is shown."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._within_line = False
        self.skip = 0
        self.finished = False

    def cut(self, buffer: bytes) -> int:
        """How many bytes at the beginning of `buffer` are whole records, or rubbish before one."""
        at = 0
        while (end := _record_end(buffer, at)) > at:
            at = end
        return at

    def count(self, block: bytes) -> int:
        """How many lines end in a block of whole records."""
        return count_lines(block)

    def first_time(self, block: bytes) -> int | None:
        """The time of the first record; None when there is none."""
        if self.cut(block) and block[0] == _MAGIC:
            at_ns: int = _HEADER.unpack_from(block, 0)[4]
            return at_ns
        return None

    def render(self, block: bytes) -> bytes:
        """What is shown of a block of whole records; sets `finished` after the last that can be wanted."""
        view = self._view
        parts: list[bytes] = []
        run: list[bytes] = []
        current = at = 0
        while at < len(block) and not self.finished:
            end = _record_end(block, at)
            if block[at] == _MAGIC:
                stream, text = self._show(block, at)
                if stream != current:
                    parts.append(view.form(current, b"".join(run)))
                    run, current = [], stream
                run.append(text)
            at = end
        parts.append(view.form(current, b"".join(run)))
        return b"".join(parts)

    def _show(self, block: bytes, at: int) -> tuple[int, bytes]:
        view = self._view
        _, stream, skipped, length, at_ns = _HEADER.unpack_from(block, at)
        start = at + _HEADER.size + skipped
        text = block[start : start + length]
        if self.skip:
            text = self._skip_lines(text)
        if at_ns < view.since or not text:
            return stream, b""
        if view.until and at_ns > view.until:
            self.finished = True
            return stream, b""
        if view.timestamps or view.details:
            prefix = b""
            if view.timestamps:
                prefix += time_text(at_ns).encode() + b" "
            if view.details:
                attributes = msgspec.json.decode(block[start - skipped : start] or b"{}", type=dict[str, str])
                prefix += show_attributes(attributes).encode() + b" "
            lines = text.replace(b"\n", b"\n" + prefix)
            if text.endswith(b"\n"):
                lines = lines[: -len(prefix)]
            text = lines if self._within_line else prefix + lines
        self._within_line = not text.endswith(b"\n")
        return stream, text

    def _skip_lines(self, text: bytes) -> bytes:
        while self.skip and text:
            newline = text.find(b"\n") + 1
            if not newline:
                return b""
            text = text[newline:]
            self.skip -= 1
        return text


def count_lines(block: bytes) -> int:
    """How many lines end in a block of whole records."""
    total = at = 0
    while at < len(block):
        end = _record_end(block, at)
        if block[at] == _MAGIC:
            _, _, skipped, length, _ = _HEADER.unpack_from(block, at)
            start = at + _HEADER.size + skipped
            total += block.count(b"\n", start, start + length)
        at = end
    return total


def _record_end(buffer: bytes, at: int) -> int:
    """Where the record at `at` ends, `at` itself when it is not whole; rubbish ends at the next one."""
    if len(buffer) - at < _HEADER.size:
        return at
    if buffer[at] == _MAGIC:
        _, stream, skipped, length, _ = _HEADER.unpack_from(buffer, at)
        body = _HEADER.size + skipped + length
        if stream in (1, 2) and length <= _LARGEST and skipped <= _ATTRIBUTES_LIMIT:
            end = at + body + _LENGTH.size
            if end > len(buffer):
                return at
            if buffer.startswith(_LENGTH.pack(body), end - _LENGTH.size):
                return int(end)
    # Torn by a crash: go on at what looks like a record.
    found = buffer.find(_MAGIC, at + 1)
    return found if found >= 0 else len(buffer)
