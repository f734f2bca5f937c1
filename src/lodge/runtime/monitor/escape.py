"""The detach keys: a sequence of bytes in a terminal's input that ends the session (default ctrl-p ctrl-q).

Pure. Bytes that may be the beginning of the sequence are held back until it is clear that they are not.
"""

from __future__ import annotations

from lodge.errors import InvalidArgument

DEFAULT_KEYS = b"\x10\x11"

_CONTROLS = {chr(code + 96): code for code in range(1, 27)} | {
    "@": 0,
    "[": 27,
    "\\": 28,
    "]": 29,
    "^": 30,
    "_": 31,
}


def parse_keys(text: str) -> bytes:
    r"""Docker's spelling ("ctrl-p,ctrl-q", "ctrl-@", "a,b") as bytes; empty text gives no bytes.

    InvalidArgument for anything else than single characters and ctrl-<a-z@[\]^_>.
    """
    if not text:
        return b""
    keys = bytearray()
    for key in text.split(","):
        if len(key) == 1:
            keys += key.encode()
        elif key[:5].lower() == "ctrl-" and key[5:].lower() in _CONTROLS:
            keys.append(_CONTROLS[key[5:].lower()])
        else:
            raise InvalidArgument(f"Invalid detach keys ({text}) provided: unknown character: {key!r}")
    return bytes(keys)


class Escape:
    """The matcher of one session's input."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._fallback = _fallbacks(keys)
        self._matched = 0
        self.found = False

    def feed(self, data: bytes) -> bytes:
        """The bytes that may pass on now; sets `found` at the end of the sequence, the rest is swallowed."""
        keys = self._keys
        if not keys or (self._matched == 0 and keys[0] not in data):
            return data
        passed = bytearray()
        for byte in data:
            while self._matched and keys[self._matched] != byte:
                shorter = self._fallback[self._matched]
                passed += keys[: self._matched - shorter]
                self._matched = shorter
            if keys[self._matched] != byte:
                passed.append(byte)
                continue
            self._matched += 1
            if self._matched == len(keys):
                self.found = True
                self._matched = 0
                break
        return bytes(passed)


def _fallbacks(keys: bytes) -> list[int]:
    """For each matched length, the longest shorter beginning that is still matched (Knuth, Morris, Pratt)."""
    table = [0] * (len(keys) + 1)
    length = 0
    for index in range(1, len(keys)):
        while length and keys[index] != keys[length]:
            length = table[length]
        if keys[index] == keys[length]:
            length += 1
        table[index + 1] = length
    return table
