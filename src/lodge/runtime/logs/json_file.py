r"""Docker's json-file format: one JSON object a line, `{"log":"hello\n","stream":"stdout","time":"..."}`.

Encoding and decoding work on many lines at once with the fast operations of bytes, since handling a line by
itself costs more than the line is worth. The entries that are written at once carry the same time, so what
stands between their texts is the same bytes: one replacement writes them, and one replacement reads them
back.
"""

from __future__ import annotations

import re
from operator import itemgetter

import msgspec

from lodge.runtime.logs.view import Stamper, View, parse_time, show_attributes, show_time, time_text
from lodge.spec.streams import STDERR, STDOUT

_NAMES = {STDOUT: b"stdout", STDERR: b"stderr"}

_OPEN = b'{"log":"'
_FREE = bytes(byte for byte in range(256) if byte >= 0x20 or byte == 0x0A)
_CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_ESCAPES = {b"\r": rb"\r"}
_SPECIAL = ((b'"', b'\\"'), (b"<", rb"\u003c"), (b">", rb"\u003e"), (b"&", rb"\u0026"))
_SEPARATORS = re.compile("[\u2028\u2029]")


class Encoder:
    """Writes entries; `attributes` go into each of them."""

    def __init__(self, attributes: dict[str, str]) -> None:
        self._attributes = b',"attrs":' + msgspec.json.encode(attributes) if attributes else b""
        self._stamper = Stamper()

    def encode(self, stream: int, group: bytes, at_ns: int) -> bytes:
        """A group of whole lines, or a piece of a line, as entries."""
        time = self._stamper.stamp(at_ns)
        close = b'","stream":"%b"%b,"time":"%b"}\n' % (_NAMES[stream], self._attributes, time)
        text = _escape(group)
        if not text.endswith(b"\n"):
            return b"".join((_OPEN, text, close))
        close = b"\\n" + close
        return b"".join((_OPEN, text[:-1].replace(b"\n", close + _OPEN), close))

    def boundary(self, entries: bytes, at: int) -> int:
        """Where the entry ends in which the place `at` lies."""
        return entries.find(b"\n", at) + 1 or len(entries)

    def lines(self, entries: bytes) -> int:
        """How many lines some entries of whole lines hold."""
        return entries.count(b"\n")


def _escape(text: bytes) -> bytes:
    """The contents of a JSON string as Docker writes it, newlines left as they are."""
    if b"\\" in text:
        text = text.replace(b"\\", b"\\\\")
    for raw, escaped in _SPECIAL:
        if raw in text:
            text = text.replace(raw, escaped)
    if text.translate(None, _FREE):
        text = _CONTROL.sub(_escape_control, text)
    if not text.isascii():
        decoded = text.decode("utf-8", "replace")
        if "\u2028" in decoded or "\u2029" in decoded:
            decoded = _SEPARATORS.sub(lambda found: f"\\u{ord(found[0]):x}", decoded)
        text = decoded.encode()
    return text


def _escape_control(found: re.Match[bytes]) -> bytes:
    return _ESCAPES.get(found[0]) or b"\\u%04x" % found[0][0]


_STREAM = b'","stream":"'
_ATTRIBUTES = b',"attrs":'
_TIME = b',"time":"'
_UNICODE = re.compile(rb"\\u([0-9a-fA-F]{4})")
_NUMBERS = {name: number for number, name in _NAMES.items()}

# What stands between the texts of two whole lines, or after the last one, whatever their times.
_BETWEEN = re.compile(
    rb'\\n","stream":"(stdout|stderr)"(?:,"attrs":\{[^\n]*?\})?,"time":"[-0-9T:.]{19,29}Z"\}\n(?:\{"log":"|\Z)'
)
_SEGMENT = 64 * 1024


class _Run:
    """Entries that differ in nothing but their texts: `tail` is what follows the text of each."""

    __slots__ = ("attributes", "stream", "tail", "time", "whole")

    def __init__(self, tail: bytes, whole: bool) -> None:
        self.tail = tail
        self.whole = whole
        name, _, rest = tail[len(_STREAM) :].partition(b'"')
        self.stream = _NUMBERS.get(name, STDOUT)
        attributes, _, time = rest.rpartition(_TIME)
        self.time = time[:-3].decode("ascii", "replace")
        self.attributes = attributes.removeprefix(_ATTRIBUTES)


class Decoder:
    """Turns blocks of whole lines of the file into what is shown."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._since = time_text(view.since)
        self._until = time_text(view.until)
        self._plain = not (view.since or view.until or view.timestamps or view.details)
        # Whether the last entry was a piece of a line that goes on.
        self._within_line = False
        # So many entries at the beginning are not shown.
        self.skip = 0
        self.finished = False

    def cut(self, buffer: bytes) -> int:
        """How many bytes at the beginning of `buffer` are whole entries."""
        return buffer.rfind(b"\n") + 1

    def count(self, block: bytes) -> int:
        """How many entries a block of whole entries has."""
        return block.count(b"\n")

    def first_time(self, block: bytes) -> int | None:
        """The time of the first entry; None when there is none."""
        at = 0
        while (end := block.find(b"\n", at)) >= 0:
            found = _parse(block, at, end)
            if found is not None:
                try:
                    return parse_time(found[1].time)
                except ValueError:
                    pass
            at = end + 1
        return None

    def render(self, block: bytes) -> bytes:
        """What is shown of a block of whole entries; sets `finished` after the last that can be wanted."""
        parts: list[bytes] = []
        at = 0
        while self.skip and at < len(block):
            at = block.index(b"\n", at) + 1
            self.skip -= 1
        while at < len(block) and not self.finished:
            end = block.index(b"\n", at)
            found = _parse(block, at, end)
            if found is None:
                # Torn by a crash, or foreign.
                at = end + 1
                continue
            start, run = found
            last = _run_end(block, end, run.tail) if run.whole else end
            if last == end and self._plain and not self._within_line:
                shown, after = self._render_segment(block, at, run.stream)
                if after > end:
                    parts.append(shown)
                    at = after
                    continue
            entries = block[start : last + 1]
            lines = _plain_lines(entries, run) if self._plain and not self._within_line else None
            shown = self._render_run(entries, run) if lines is None else self._view.lines(run.stream, lines)
            parts.append(shown)
            at = last + 1
        return b"".join(parts)

    def _render_run(self, entries: bytes, run: _Run) -> bytes:
        """Entries of one run, from the first text on."""
        view = self._view
        if view.since or view.until:
            key = show_time(run.time)
            if view.until and key > self._until:
                self.finished = True
                return b""
            if key < self._since:
                return b""
        prefix = b""
        if view.timestamps:
            prefix += show_time(run.time).encode() + b" "
        if view.details:
            prefix += show_attributes(_decode_attributes(run.attributes)).encode() + b" "
        text = entries[: -len(run.tail)]
        if run.whole:
            text = text[:-2].replace(b"\\n" + run.tail + _OPEN, b"\n" + prefix) + b"\n"
        if self._within_line:
            prefix = b""
        self._within_line = not run.whole
        return view.form(run.stream, prefix + _unescape(text))

    def _render_segment(self, block: bytes, at: int, stream: int) -> tuple[bytes, int]:
        """Many whole lines of one stream and different times, nothing but the texts wanted; where they end.

        They end at `at` when the lines there are not as usual: look at them one by one then.
        """
        end = len(block)
        if end - at > _SEGMENT:
            end = block.rfind(b"\n", at, at + _SEGMENT) + 1
        other = block.find(b'","stream":"stderr"' if stream == STDOUT else b'","stream":"stdout"', at, end)
        if other >= 0:
            end = block.rfind(b"\n", at, other) + 1
        segment = block[at + len(_OPEN) : end]
        # A text that ends in a backslash and an n is no line that ends here.
        if not segment or b'\\\\n"' in segment:
            return b"", at
        text, count = _BETWEEN.subn(b"\n", segment)
        if count != segment.count(b"\n"):
            return b"", at
        return self._view.form(stream, _unescape(text)), end


def _parse(block: bytes, at: int, end: int) -> tuple[int, _Run] | None:
    """Where the text of the entry in block[at:end] begins, and of what run it is; None if it is no entry."""
    if not block.startswith(_OPEN, at):
        # A line torn by a crash may have a whole entry stuck to it.
        at = block.rfind(_OPEN, at, end)
        if at < 0:
            return None
    # A quote within the text has a backslash before it, so this is where the text ends.
    close = block.find(_STREAM, at, end)
    if close < 0 or not block.endswith(b'Z"}', at, end) or block.find(_TIME, close, end) < 0:
        return None
    backslashes = close - 1
    while block[backslashes - 1] == 0x5C:
        backslashes -= 1
    # An odd number of backslashes before the n: the last of them makes it a newline.
    whole = block[close - 1] == 0x6E and (close - 1 - backslashes) % 2 == 1
    return at + len(_OPEN), _Run(block[close : end + 1], whole)


def _run_end(block: bytes, end: int, tail: bytes) -> int:
    """The end (the place of its newline) of the last entry in a row with this tail; `end` is the first's.

    Steps grow while they land on the same tail, then shrink: the entries written at once lie together.
    """
    tail = b"\\n" + tail
    step = 1
    growing = True
    while step:
        place = block.find(b"\n", end + step)
        if place >= 0 and block.startswith(tail, place + 1 - len(tail)):
            end = place
            step = max(step * 2, 512) if growing else step
        else:
            growing = False
            step //= 2
    return end


def _plain_lines(entries: bytes, run: _Run) -> list[bytes] | None:
    """The texts of a run's whole lines, from the first text on; None when one has an escape in it.

    Cutting each line at its two ends is twice as fast as looking for what stands between the texts.
    """
    if not run.whole:
        return None
    first, *others = entries.split(b"\n")
    others.pop()
    if entries.count(b"\\") != (1 + len(others)) * (1 + run.tail.count(b"\\")):
        return None
    close = len(run.tail) + 1
    return [first[:-close], *map(itemgetter(slice(len(_OPEN), -close)), others)]


def _decode_attributes(text: bytes) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str]) if text else {}
    except msgspec.DecodeError:
        return {}


def _unescape(text: bytes) -> bytes:
    """Undo the escapes of a JSON string."""
    if b"\\" not in text:
        return text
    # The first two backslashes side by side are always one escaped backslash.
    return b"\\".join(map(_unescape_simple, text.split(b"\\\\")))


def _unescape_simple(text: bytes) -> bytes:
    """Undo the escapes of a text in which no backslash is escaped."""
    if b"\\" not in text:
        return text
    for raw, escaped in _SPECIAL:
        if escaped in text:
            text = text.replace(escaped, raw)
    text = text.replace(rb"\n", b"\n").replace(rb"\r", b"\r").replace(rb"\t", b"\t")
    if b"\\u" in text:
        text = _UNICODE.sub(lambda found: chr(int(found[1], 16)).encode("utf-8", "surrogatepass"), text)
    return text
