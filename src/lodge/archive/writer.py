"""Members as bytes of a tar archive: ustar where everything fits, pax records for what does not.

Equal members give equal bytes. Data is gathered into large writes. Walking a tree is next door, in `tree`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from lodge.archive import header, pax
from lodge.archive.header import BLOCK, Member

_LARGE: Final = 1 << 20
_LONGEST_OCTAL_ID: Final = 0o7777777
_LONGEST_OCTAL_SIZE: Final = 0o77777777777
_SECOND: Final = 1_000_000_000
Write = Callable[[bytes], object]


class TarWriter:
    """Writes members one after the other to `write`; `finish` ends the archive.

    `precise` keeps the nanoseconds of times, at the price of a second header for nearly every file. Docker's
    layers have whole seconds.
    """

    def __init__(self, write: Write, *, precise: bool = False) -> None:
        self._write = write
        self._precise = precise
        self._parts: list[bytes | memoryview] = []
        self._length = 0
        self._owed = 0

    def begin(self, member: Member) -> None:
        """Write the headers of a member; `member.size` bytes must follow through `data`, then `end`."""
        self._put(headers(member, precise=self._precise))
        self._owed = member.size

    def data(self, piece: bytes | memoryview) -> None:
        """Write a piece of the payload. More than was announced is cut off: the file has grown meanwhile."""
        if len(piece) > self._owed:
            piece = memoryview(piece)[: self._owed]
        self._owed -= len(piece)
        self._put(piece)

    def beside(self, size: int) -> None:
        """Let `size` bytes of the payload be written by somebody else, past `write`, when this returns."""
        self.flush()
        self._owed -= size

    def end(self, member: Member) -> None:
        """Fill up the payload: with zeros for what the file has lost meanwhile, and to a whole block."""
        while self._owed:
            self.data(bytes(min(self._owed, _LARGE)))
        padding = -member.size % BLOCK
        if padding:
            self._put(header.ZEROS[:padding])

    def add(self, member: Member, payload: bytes | Iterable[bytes | memoryview] = b"") -> None:
        """Write a member with its whole payload."""
        self.begin(member)
        for piece in (payload,) if isinstance(payload, bytes) else payload:
            self.data(piece)
        self.end(member)

    def finish(self) -> None:
        """Write the end of the archive, and all that is still held back."""
        self._put(header.ZEROS * 2)
        self.flush()

    def flush(self) -> None:
        """Hand on what is gathered."""
        if self._parts:
            self._write(b"".join(self._parts))
            self._parts.clear()
            self._length = 0

    def _put(self, piece: bytes | memoryview) -> None:
        self._parts.append(piece)
        self._length += len(piece)
        if self._length >= _LARGE:
            self.flush()


def headers(member: Member, *, precise: bool = False) -> bytes:
    """Return all header blocks of a member: a pax header first where ustar can't say it."""
    records: dict[bytes, bytes] = {}
    name, prefix = _split(member.name)
    link = member.link
    if name is None:
        records[b"path"] = member.name
        name = member.name[:100]
    if len(link) > 100:
        records[b"linkpath"] = link
        link = link[:100]
    if member.size > _LONGEST_OCTAL_SIZE:
        records[b"size"] = b"%d" % member.size
    if not 0 <= member.uid <= _LONGEST_OCTAL_ID:
        records[b"uid"] = b"%d" % member.uid
    if not 0 <= member.gid <= _LONGEST_OCTAL_ID:
        records[b"gid"] = b"%d" % member.gid
    seconds = member.mtime // _SECOND
    if not 0 <= seconds <= _LONGEST_OCTAL_SIZE or (precise and member.mtime % _SECOND):
        records[b"mtime"] = _time(member.mtime if precise else seconds * _SECOND)
    for key, value in (member.xattrs or {}).items():
        records[pax.XATTR + key] = value
    block = header.build(member, name, link, prefix)
    if not records:
        return block
    return _pax_header(records, name) + block


def _split(name: bytes) -> tuple[bytes | None, bytes]:
    """Return a name as ustar holds it, in two parts where needed; None when it can't."""
    if len(name) <= 100:
        return name, b""
    if len(name) > 256:
        return None, b""
    # The prefix ends before a slash such that the rest has at most 100 bytes and is not empty.
    cut = name.rfind(b"/", len(name) - 101, 156)
    if cut <= 0 or len(name) - cut - 1 > 100 or cut + 1 == len(name):
        return None, b""
    return name[cut + 1 :], name[:cut]


def _pax_header(records: dict[bytes, bytes], name: bytes) -> bytes:
    try:
        for key in (b"path", b"linkpath"):
            records.get(key, b"").decode()
    except UnicodeDecodeError:
        records[b"hdrcharset"] = b"BINARY"
    payload = pax.build(records)
    label = b"PaxHeaders.0/" + name.rstrip(b"/").rpartition(b"/")[2]
    member = Member(label[:100], header.PAX, mode=0o644, size=len(payload))
    return header.build(member, member.name, b"") + payload + header.ZEROS[: -len(payload) % BLOCK]


def _time(nanoseconds: int) -> bytes:
    sign = b"-" if nanoseconds < 0 else b""
    seconds, fraction = divmod(abs(nanoseconds), _SECOND)
    if not fraction:
        return b"%b%d" % (sign, seconds)
    return b"%b%d.%b" % (sign, seconds, (b"%09d" % fraction).rstrip(b"0"))
