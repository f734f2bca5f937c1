"""Maps of sparse members: where the data lies in the file. Old GNU headers and the pax formats 0.0, 0.1, 1.0.

Source: GNU tar manual, "Storing Sparse Files". Maps come from strangers: they must be ordered, must not
overlap, must lie inside the file and must have as much data as the archive holds.
"""

from __future__ import annotations

from typing import Final

from lodge.archive.header import BLOCK, Member, number
from lodge.archive.source import Source
from lodge.errors import Corrupt

_MOST_SEGMENTS: Final = 1 << 18
Map = list[tuple[int, int]]


def read_old_gnu(block: bytes, source: Source, member: Member) -> None:
    """Read the map of a member of type S: four segments in the header, more in blocks that follow it."""
    segments = _segments(block[386:482])
    extended = block[482]
    real_size = number(block[483:495])
    while extended:
        more = source.take(BLOCK)
        segments += _segments(more[:504])
        extended = more[504]
        if len(segments) > _MOST_SEGMENTS:
            raise Corrupt("invalid sparse map: too many segments")
    set_map(member, segments, real_size)


def _segments(field: bytes) -> Map:
    pairs = (field[start : start + 24] for start in range(0, len(field), 24))
    return [(number(pair[:12]), number(pair[12:])) for pair in pairs if pair[0]]


def read_pax(records: dict[bytes, bytes], source: Source, member: Member) -> None:
    """Read a pax sparse map if there is one. In format 1.0 it is the front part of the member's data.

    That part is a number of whole blocks, so the padding after the rest stays as it was.
    """
    name = records.get(b"GNU.sparse.name")
    if name is not None:
        member.name = name
    if records.get(b"GNU.sparse.major") == b"1":
        segments, used = _read_leading_map(source, member.size)
        member.size -= used
        set_map(member, segments, _integer(records.get(b"GNU.sparse.realsize", b"")))
        return
    if b"GNU.sparse.map" in records:
        numbers = [_integer(text) for text in records[b"GNU.sparse.map"].split(b",") if text]
    elif b"GNU.sparse.offset" in records:
        offsets = records[b"GNU.sparse.offset"].split(b",")
        lengths = records.get(b"GNU.sparse.numbytes", b"").split(b",")
        if len(offsets) != len(lengths):
            raise Corrupt("invalid sparse map: offsets and lengths are not pairs")
        numbers = [_integer(text) for pair in zip(offsets, lengths, strict=True) for text in pair]
    else:
        return
    if len(numbers) % 2 or len(numbers) > 2 * _MOST_SEGMENTS:
        raise Corrupt("invalid sparse map: an odd or too large count of numbers")
    real_size = _integer(records.get(b"GNU.sparse.size") or records.get(b"GNU.sparse.realsize", b""))
    set_map(member, list(zip(numbers[::2], numbers[1::2], strict=True)), real_size)


def _read_leading_map(source: Source, limit: int) -> tuple[Map, int]:
    """Read format 1.0's map: decimal numbers on lines, padded to whole blocks, in front of the data."""
    text = bytearray()
    used = 0

    def lines(count: int) -> list[bytes]:
        nonlocal used
        while text.count(b"\n") < count:
            if used + BLOCK > limit:
                raise Corrupt("invalid sparse map: it is longer than the member")
            text.extend(source.take(BLOCK))
            used += BLOCK
        found = bytes(text).split(b"\n", count)
        text[:] = found[-1]
        return found[:-1]

    count = _integer(lines(1)[0])
    if count > _MOST_SEGMENTS:
        raise Corrupt("invalid sparse map: too many segments")
    numbers = [_integer(line) for line in lines(2 * count)] if count else []
    return list(zip(numbers[::2], numbers[1::2], strict=True)), used


def _integer(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise Corrupt(f"invalid sparse map: {text[:40]!r} is not a number")
    return int(text)


def set_map(member: Member, segments: Map, real_size: int) -> None:
    """Give the member its map after checking it against the sizes. Raises Corrupt."""
    position = total = 0
    for offset, length in segments:
        if offset < position or length < 0:
            raise Corrupt("invalid sparse map: segments overlap or are out of order")
        position = offset + length
        total += length
    if position > real_size or real_size >= 1 << 62:
        raise Corrupt("invalid sparse map: data beyond the end of the file")
    if total != member.size:
        raise Corrupt("invalid sparse map: it does not agree with the size of the data")
    member.sparse = segments
    member.real_size = real_size
    member.type = b"0"
