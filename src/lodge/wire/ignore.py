"""The patterns of .dockerignore and --exclude: which paths they leave out. Both sides of the wall read them.

Go's filepath.Match for each component, `**` for any number of them, `!` for an exception; the last pattern
that fits decides, and a pattern that fits a directory fits all below it. Source: Docker's documentation of
.dockerignore, and the behaviour of moby/patternmatcher.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from lodge.errors import InvalidArgument

_META = frozenset("*?[\\")


def read_ignore_file(text: str) -> list[str]:
    """The patterns of a file: without comments and blank lines, paths cleaned."""
    patterns: list[str] = []
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#"):
            continue
        pattern = line.strip()
        if not pattern:
            continue
        inverted = pattern.startswith("!")
        if inverted:
            pattern = pattern[1:].strip()
        if pattern:
            pattern = posixpath.normpath(pattern)
            pattern = re.sub(r"^/+", "", pattern) or "."
        patterns.append(f"!{pattern}" if inverted else pattern)
    return patterns


class Patterns:
    """A list of patterns, ready to match. InvalidArgument for a malformed one."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._rules: list[tuple[bool, re.Pattern[str]]] = []
        for text in patterns:
            excluded = not text.startswith("!")
            bare = text if excluded else text[1:]
            if not bare:
                raise InvalidArgument('illegal exclusion pattern: "!"')
            self._rules.append((excluded, _compile(posixpath.normpath(bare))))
        self.has_exceptions = any(not excluded for excluded, _ in self._rules)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def excludes(self, path: str) -> bool:
        """Whether a clean relative path is left out, by itself or with a directory above it."""
        excluded = False
        for excludes, pattern in self._rules:
            if excludes is not excluded and _fits(pattern, path):
                excluded = excludes
        return excluded


def _fits(pattern: re.Pattern[str], path: str) -> bool:
    if pattern.fullmatch(path):
        return True
    place = path.rfind("/")
    while place > 0:
        if pattern.fullmatch(path, 0, place):
            return True
        place = path.rfind("/", 0, place)
    return False


def match(pattern: str, name: str) -> bool:
    """Go's filepath.Match: `*` and `?` don't match a slash. InvalidArgument for a malformed pattern."""
    return _component(pattern).fullmatch(name) is not None


def has_wildcards(text: str) -> bool:
    """Whether a source names more than itself."""
    return bool(_META & set(text))


def compile_deep(pattern: str) -> re.Pattern[str]:
    """A pattern that may hold `**`, for whole paths."""
    return _compile(pattern)


def _component(pattern: str) -> re.Pattern[str]:
    return re.compile(_translate(pattern, deep=False), re.DOTALL)


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(_translate(pattern, deep=True), re.DOTALL)


def _translate(pattern: str, *, deep: bool) -> str:
    made: list[str] = []
    place = 0
    while place < len(pattern):
        char = pattern[place]
        place += 1
        if char == "*":
            if deep and pattern.startswith("*", place):
                place += 1
                if pattern.startswith("/", place):
                    # `**/x` fits x at any depth, none included.
                    place += 1
                    made.append("(?:.*/)?")
                elif place == len(pattern):
                    made.append(".*")
                else:
                    made.append("[^/]*")
            else:
                made.append("[^/]*")
        elif char == "?":
            made.append("[^/]")
        elif char == "[":
            text, place = _class(pattern, place)
            made.append(text)
        elif char == "\\":
            if place == len(pattern):
                raise InvalidArgument(f"syntax error in pattern: {pattern!r}")
            made.append(re.escape(pattern[place]))
            place += 1
        else:
            made.append(re.escape(char))
    return "".join(made)


def _class(pattern: str, place: int) -> tuple[str, int]:
    """A class of characters: `[a-z]`, `[^a]`."""
    made = ["["]
    if pattern.startswith("^", place):
        made.append("^")
        place += 1
    begun = False
    while True:
        if place < len(pattern) and pattern[place] == "]" and begun:
            return "(?!/)" + "".join(made) + "]", place + 1
        low, place = _member(pattern, place)
        high = low
        if pattern.startswith("-", place):
            high, place = _member(pattern, place + 1)
        if high < low:
            raise InvalidArgument(f"syntax error in pattern: {pattern!r}")
        made.append(f"{re.escape(low)}-{re.escape(high)}" if high != low else re.escape(low))
        begun = True


def _member(pattern: str, place: int) -> tuple[str, int]:
    if place >= len(pattern) or pattern[place] in "-]":
        raise InvalidArgument(f"syntax error in pattern: {pattern!r}")
    if pattern[place] == "\\":
        place += 1
        if place >= len(pattern):
            raise InvalidArgument(f"syntax error in pattern: {pattern!r}")
    return pattern[place], place + 1
