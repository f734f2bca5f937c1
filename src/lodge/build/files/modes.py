"""--chmod: octal numbers and the symbolic words of chmod(1)."""

from __future__ import annotations

import re
import stat

from lodge.errors import InvalidArgument

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)", re.ASCII)
_CHANGE = re.compile(r"([-+=])([ugo]|[rwxXst]*)", re.ASCII)
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}


class Mode:
    """What a file's mode becomes. InvalidArgument for a text that is no mode."""

    def __init__(self, text: str) -> None:
        self._octal: int | None = None
        self._clauses: list[tuple[str, str]] = []
        if re.fullmatch(r"[0-7]{1,5}", text, re.ASCII):
            self._octal = int(text, 8)
            if self._octal > 0o7777:
                raise InvalidArgument(f"invalid chmod parameter: '{text}'")
            return
        for clause in text.split(","):
            found = _CLAUSE.fullmatch(clause)
            if found is None:
                raise InvalidArgument(f"invalid chmod parameter: '{text}'")
            self._clauses.append((found[1], found[2]))

    def apply(self, mode: int) -> int:
        """The permission bits for a thing that has `mode` (with its kind) now."""
        if self._octal is not None:
            return self._octal
        bits = stat.S_IMODE(mode)
        directory = stat.S_ISDIR(mode)
        for who, changes in self._clauses:
            classes = "ugo" if not who or "a" in who else who
            for sign, words in _CHANGE.findall(changes):
                bits = _change(bits, classes, sign, words, directory=directory, everyone=not who)
        return bits


def _change(bits: int, classes: str, sign: str, words: str, *, directory: bool, everyone: bool) -> int:
    for each in classes:
        shift = _SHIFTS[each]
        wanted = _wanted(bits, words, directory=directory)
        special = _special(each, words, everyone=everyone)
        mask = 7 << shift
        if sign == "=":
            bits = (bits & ~mask) | (wanted << shift) | special
        elif sign == "+":
            bits |= (wanted << shift) | special
        else:
            bits &= ~((wanted << shift) | special)
    return bits


def _wanted(bits: int, words: str, *, directory: bool) -> int:
    if words in _SHIFTS and words:
        return (bits >> _SHIFTS[words]) & 7
    found = 0
    for word in words:
        if word == "X":
            found |= 1 if directory or bits & 0o111 else 0
        else:
            found |= _BITS.get(word, 0)
    return found


def _special(each: str, words: str, *, everyone: bool) -> int:
    found = 0
    if "s" in words and each in "ug":
        found |= stat.S_ISUID if each == "u" else stat.S_ISGID
    if "t" in words and (everyone or each == "o"):
        found |= stat.S_ISVTX
    return found
