"""What of a log is wanted, and how it shall look; and the writing of times."""

from __future__ import annotations

import re
import time

from msgspec import Struct

from lodge.spec.streams import STDERR, STDOUT, header

BOTH = frozenset((STDOUT, STDERR))
_SECOND = 1_000_000_000
# A clock that stands still for so long has only a coarse tick; one that goes back further was set.
_BURST = 1_000_000
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)


class _LineHeads(dict[int, bytes]):
    """A line feed and the header of the next frame, by the length of its line without its own line feed."""

    def __init__(self, stream: int) -> None:
        super().__init__()
        self._stream = stream

    def __missing__(self, length: int) -> bytes:
        made = b"\n" + header(self._stream, length + 1)
        if length < 16384:
            self[length] = made
        return made


_LINE_HEADS = {stream: _LineHeads(stream) for stream in BOTH}


class View(Struct, kw_only=True):
    """A selection and a form. Times in nanoseconds since the epoch, 0 for no bound; `tail` -1 for all.

    `framed` gives frames (see spec.streams), else the streams flow together. `timestamps` puts the time
    before each line, `details` the attributes (labels and so on) after that, as Docker does.
    """

    wanted: frozenset[int] = BOTH
    framed: bool = True
    since: int = 0
    until: int = 0
    timestamps: bool = False
    details: bool = False
    tail: int = -1

    def form(self, stream: int, text: bytes) -> bytes:
        """Output of one stream as it is sent: a frame a line, since clients take a frame for a line."""
        if stream not in self.wanted or not text:
            return b""
        if not self.framed:
            return text
        *lines, rest = text.split(b"\n")
        framed = self.lines(stream, lines) if lines else b""
        return framed + header(stream, len(rest)) + rest if rest else framed

    def lines(self, stream: int, lines: list[bytes]) -> bytes:
        """The same for whole lines, without their line feeds."""
        if stream not in self.wanted:
            return b""
        if not self.framed:
            return b"\n".join(lines) + b"\n"
        heads = _LINE_HEADS[stream]
        lengths = set(map(len, lines))
        if len(lengths) == 1:
            head = heads[lengths.pop()]
            return head[1:] + head.join(lines) + b"\n"
        # No loop of Python's own: headers, each with the line feed before it, take turns with lines.
        parts = [b""] * (2 * len(lines))
        parts[::2] = map(heads.__getitem__, map(len, lines))
        parts[1::2] = lines
        return b"".join(parts)[1:] + b"\n"


class Stamper:
    """Writes times as Docker's json-file does, fast when many lie within one second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""
        self._last = 0

    def stamp(self, ns: int) -> bytes:
        """2006-01-02T15:04:05.123456789Z; never the same twice, never ending in 0.

        Docker leaves trailing zeros out where it writes and has nine digits where it shows: a time that ends
        in no zero is right for both.
        """
        ns = self.distinct(ns)
        second, fraction = divmod(ns, _SECOND)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._text}.{fraction:09d}Z".encode()

    def distinct(self, ns: int) -> int:
        """The time, or one a little later that no other was given lately and that does not end in 0."""
        if 0 <= self._last - ns < _BURST:
            ns = self._last + 1
        ns += ns % 10 == 0
        self._last = ns
        return ns


def parse_time(text: str) -> int:
    """Nanoseconds of a UTC time in RFC 3339 with up to nine digits; ValueError for anything else."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time")
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    if not 1 <= month <= 12:
        raise ValueError(f"{text!r} is no time")
    seconds = ((_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
    return seconds * _SECOND + int((match[7] or "").ljust(9, "0"))


def _days(year: int, month: int, day: int) -> int:
    """Days from the epoch to a date. time.strptime would import a module at its first call, calendar many."""
    # Years begin in March here, so that the leap day is their last.
    year -= month < 3
    before = 365 * year + year // 4 - year // 100 + year // 400
    return before + (153 * ((month + 9) % 12) + 2) // 5 + day - 1 - 719468


def show_time(text: str) -> str:
    """A time with all nine digits, as Docker shows it."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return f"{whole}.{fraction[:9].ljust(9, '0')}Z"


def time_text(ns: int) -> str:
    """A time as `show_time` gives it; later times are greater as texts."""
    second, fraction = divmod(ns, _SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{fraction:09d}Z"


def show_attributes(attributes: dict[str, str]) -> str:
    """`key=value,...` in order of keys, quoted as in a URL's query: Docker's --details."""
    return ",".join(f"{_quote(key)}={_quote(attributes[key])}" for key in sorted(attributes))


_UNQUOTED = frozenset(b"-_.~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _quote(text: str) -> str:
    """As in a URL's query."""
    words = text.encode().split(b" ")
    return "+".join("".join(chr(b) if b in _UNQUOTED else f"%{b:02X}" for b in word) for word in words)
