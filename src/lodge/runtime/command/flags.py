"""Command lines as runc's callers write them: --name value, --name=value, -n value, switches, then words.

One table of flags for each verb. Flags end at the first word that is none (or at `--`), as they do for runc;
an unknown flag is an error.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from lodge.errors import InvalidArgument


class Flag(Struct, frozen=True):
    """One flag: its names without dashes; a `switch` takes no value, one that is `many` may come again."""

    names: tuple[str, ...]
    help: str
    switch: bool = False
    many: bool = False
    default: str = ""


class Parsed:
    """What a command line says."""

    def __init__(self, values: dict[str, list[str]], words: list[str]) -> None:
        self._values = values
        self.words = words

    def text(self, name: str) -> str:
        """The last value of a flag, or its default."""
        return self._values[name][-1]

    def given(self, name: str) -> bool:
        """Whether a flag was on the line (a default does not count)."""
        return len(self._values[name]) > 1

    def on(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.text(name) == "true"

    def all(self, name: str) -> list[str]:
        """The values of a flag that may come again."""
        return self._values[name][1:]

    def number(self, name: str, default: int = 0) -> int:
        """The value as a number; InvalidArgument when it is none."""
        text = self.text(name)
        try:
            return int(text) if text else default
        except ValueError:
            raise InvalidArgument(f"invalid value {text!r} for flag --{name}: not a number") from None


def flag(names: str, text: str, *, switch: bool = False, many: bool = False, default: str = "") -> Flag:
    """A flag from its names, "bundle b"."""
    return Flag(tuple(names.split()), text, switch, many, default)


def parse(line: Sequence[str], flags: Sequence[Flag]) -> Parsed:
    """Read the flags at the front of a line; the rest are words."""
    by_name = {name: entry for entry in flags for name in entry.names}
    values = {entry.names[0]: ["false" if entry.switch else entry.default] for entry in flags}
    rest = list(line)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.lstrip("-").partition("=")
        entry = by_name.get(name)
        if entry is None or word.startswith("---"):
            raise InvalidArgument(f"flag provided but not defined: {word.partition('=')[0]}")
        values[entry.names[0]].append(_value(entry, name, value if equals else None, rest))
    return Parsed(values, rest)


def usage(flags: Sequence[Flag]) -> str:
    """The flags as lines of a help text."""
    lines = []
    for entry in flags:
        names = ", ".join(f"{'-' if len(name) == 1 else '--'}{name}" for name in entry.names)
        lines.append(f"   {names if entry.switch else names + ' value':<32} {entry.help}")
    return "\n".join(lines)


def _value(entry: Flag, name: str, value: str | None, rest: list[str]) -> str:
    if entry.switch:
        if value not in (None, "true", "false", "1", "0"):
            raise InvalidArgument(f"invalid boolean value {value!r} for --{name}")
        return "false" if value in ("false", "0") else "true"
    if value is not None:
        return value
    if not rest:
        raise InvalidArgument(f"flag needs an argument: --{name}")
    return rest.pop(0)
