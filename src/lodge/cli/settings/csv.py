"""One record of comma-separated fields with quotes: the outer grammar of --mount, --network and --gpus."""

from __future__ import annotations


def split_fields(text: str) -> list[str]:
    """The fields of one record (RFC 4180: a quoted field may hold commas); ValueError if it is broken."""
    if not text:
        raise ValueError("EOF")
    fields = []
    position = 0
    while True:
        field, position = _field(text, position)
        fields.append(field)
        if position == len(text):
            return fields
        position += 1


def _field(text: str, start: int) -> tuple[str, int]:
    if text[start : start + 1] != '"':
        end = text.find(",", start)
        end = len(text) if end < 0 else end
        if '"' in text[start:end]:
            raise ValueError('parse error on line 1: bare " in non-quoted-field')
        return text[start:end], end
    parts = []
    position = start + 1
    while True:
        end = text.find('"', position)
        if end < 0:
            raise ValueError('parse error on line 1: extraneous or missing " in quoted-field')
        parts.append(text[position:end])
        if text[end + 1 : end + 2] == '"':
            parts.append('"')
            position = end + 2
            continue
        if end + 1 < len(text) and text[end + 1] != ",":
            raise ValueError('parse error on line 1: extraneous or missing " in quoted-field')
        return "".join(parts), end + 1
