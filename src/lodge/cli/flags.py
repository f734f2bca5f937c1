"""Flags as tables, and the parser that reads a command line by them, with Docker's grammar.

The grammar is pflag's (GNU style): `--name=value`, `--name value`, `-n value`, `-nvalue`, bundles as `-it`,
switches with an optional `=true`, repeated flags, `--` as the end of flags. A command that runs a program
stops at its first positional argument, all others let flags and arguments mix. Pure: no I/O.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


class UsageError(Exception):
    """The command line does not fit its table; the message is the one that pflag would give."""


class Kind:
    """What a flag's value is: the name shown in help, how a text becomes a value, whether it may repeat."""

    __slots__ = ("many", "name", "parse", "zero")

    def __init__(self, name: str, parse: Callable[[str], Any], zero: object = "", many: bool = False) -> None:
        self.name = name
        self.parse = parse
        self.zero = zero
        self.many = many


def _boolean(text: str) -> bool:
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _whole(low: int, high: int, function: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text, 0) if text.strip() == text and "_" not in text else None
        except ValueError:
            try:
                value = int(text, 8) if text[:1] == "0" else None
            except ValueError:
                value = None
        if value is None or (low == 0 and text[:1] in "+-"):
            raise ValueError(f'strconv.{function}: parsing "{text}": invalid syntax')
        if not low <= value <= high:
            raise ValueError(f'strconv.{function}: parsing "{text}": value out of range')
        return value

    return parse


_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def parse_bytes(text: str) -> int:
    """A size in memory: "512m", "1.5g", "2GiB", "100", "64 kb"; powers of 1024. ValueError otherwise."""
    at = len(text)
    while at and text[at - 1] not in "0123456789.":
        at -= 1
    number, suffix = text[:at], text[at:].lower()
    suffix = suffix.removeprefix(" ")
    try:
        value = float(number)
        if number[:1] in "+-" or number != number.strip():
            raise ValueError
    except ValueError:
        raise ValueError(f"invalid size: '{text}'") from None
    unit = suffix[:-2] if suffix.endswith("ib") else suffix.removesuffix("b")
    if unit not in _UNITS or suffix == "ib":
        raise ValueError(f"invalid suffix: '{suffix}'")
    return int(value * 1024 ** _UNITS[unit])


def _limit(text: str) -> int:
    """Memory plus swap: a size, or -1 for no limit."""
    return -1 if text == "-1" else parse_bytes(text)


_DURATION_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration: "1h30m", "1.5s", "300ms", "-1m", "0"."""
    rest = text.lstrip("+-") if text[1:2] not in ("+", "-") else ""
    if rest == "0":
        return 0
    total, complaint = 0.0, f'time: invalid duration "{text}"'
    if not rest:
        raise ValueError(complaint)
    while rest:
        at = 0
        while at < len(rest) and (rest[at].isdigit() or rest[at] == "."):
            at += 1
        end = at
        while end < len(rest) and not (rest[end].isdigit() or rest[end] == "."):
            end += 1
        number, unit, rest = rest[:at], rest[at:end], rest[end:]
        if not number.strip(".") or number.count(".") > 1:
            raise ValueError(complaint)
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _DURATION_UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += float(number) * _DURATION_UNITS[unit]
    return -int(total) if text.startswith("-") else int(total)


def _decimal(text: str) -> int:
    """A number of CPUs as billionths: "1.5" is 1500000000."""
    from lodge.cli.settings.limits import parse_cpus

    return parse_cpus(text)


def _filter(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark:
        raise ValueError("invalid argument: expected name=value" if text else "invalid filter")
    return name.strip().lower(), value.strip()


BOOL = Kind("", _boolean, False)
STRING = Kind("string", str)
INT = Kind("int", _whole(-(2**63), 2**63 - 1, "ParseInt"), 0)
UINT16 = Kind("uint16", _whole(0, 2**16 - 1, "ParseUint"), 0)
UINT64 = Kind("uint", _whole(0, 2**64 - 1, "ParseUint"), 0)
LIST = Kind("list", str, (), many=True)
MAP = Kind("map", str, (), many=True)
FILTER = Kind("filter", _filter, (), many=True)
BYTES = Kind("bytes", parse_bytes, 0)
LIMIT = Kind("bytes", _limit, 0)
DURATION = Kind("duration", parse_duration, 0)
DECIMAL = Kind("decimal", _decimal, 0)


class Flag:
    """One row of a table: names, kind, help; `default` is shown in help when it is not the kind's zero.

    `hidden` keeps it out of help; `alias_of` sends its value to another flag; `refuses` says why Lodge
    cannot honour it, and using it is an error.
    """

    __slots__ = ("alias_of", "default", "help", "hidden", "kind", "name", "refuses", "short")

    def __init__(
        self,
        name: str,
        kind: Kind,
        text: str,
        *,
        short: str = "",
        default: object = None,
        hidden: bool = False,
        alias_of: str = "",
        refuses: str = "",
    ) -> None:
        self.name = name
        self.kind = kind
        self.help = text
        self.short = short
        self.default = kind.zero if default is None else default
        self.hidden = hidden
        self.alias_of = alias_of
        self.refuses = refuses

    @property
    def key(self) -> str:
        """The name under which its value is found."""
        return self.alias_of or self.name

    def label(self) -> str:
        """The names as error messages give them."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Values:
    """The flags' values of one command line: given ones, else defaults. `in` asks whether it was given."""

    __slots__ = ("_given", "_table")

    def __init__(self, table: dict[str, Flag], given: dict[str, Any] | None = None) -> None:
        self._table = table
        self._given = given if given is not None else {}

    def __getitem__(self, name: str) -> Any:
        if name in self._given:
            return self._given[name]
        return self._table[name].default

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def put(self, flag: Flag, text: str) -> None:
        """Take one more value for `flag`; UsageError when the text does not fit its kind."""
        if flag.refuses:
            raise UsageError(f"--{flag.name}: {flag.refuses}")
        try:
            value = flag.kind.parse(text)
        except ValueError as error:
            raise UsageError(f'invalid argument "{text}" for "{flag.label()}" flag: {error}') from None
        if flag.kind.many:
            self._given.setdefault(flag.key, []).append(value)
        else:
            self._given[flag.key] = value


HELP = Flag("help", BOOL, "Print usage", hidden=True)


class Parser:
    """Reads command lines by one table of flags."""

    __slots__ = ("_long", "_mixed", "_short")

    def __init__(self, flags: Sequence[Flag], *, mixed: bool = True) -> None:
        self._long = {flag.name: flag for flag in flags}
        self._long.setdefault("help", HELP)
        self._short = {flag.short: flag for flag in flags if flag.short}
        self._short.setdefault("h", HELP)
        self._mixed = mixed

    def parse(self, arguments: Sequence[str]) -> tuple[Values, list[str]]:
        """The values of the flags and the positional arguments. UsageError when the line does not fit."""
        values = Values(self._long)
        positional: list[str] = []
        rest = iter(arguments)
        for argument in rest:
            if argument == "--":
                positional.extend(rest)
            elif argument.startswith("--"):
                self._read_long(argument, rest, values)
            elif argument.startswith("-") and argument != "-":
                self._read_short(argument, rest, values)
            else:
                positional.append(argument)
                if not self._mixed:
                    positional.extend(rest)
        return values, positional

    def _read_long(self, argument: str, rest: Any, values: Values) -> None:
        name, mark, text = argument[2:].partition("=")
        flag = self._long.get(name)
        if not name or flag is None:
            raise UsageError(f"unknown flag: --{name}" if name else f"bad flag syntax: {argument}")
        if not mark:
            if flag.kind is BOOL:
                text = "true"
            else:
                found = next(rest, None)
                if found is None:
                    raise UsageError(f"flag needs an argument: --{name}")
                text = found
        values.put(flag, text)

    def _read_short(self, argument: str, rest: Any, values: Values) -> None:
        letters = argument[1:]
        while letters:
            flag = self._short.get(letters[0])
            if flag is None:
                raise UsageError(f"unknown shorthand flag: '{letters[0]}' in -{letters}")
            letter, letters = letters[0], letters[1:]
            if letters.startswith("=") and len(letters) > 1:
                values.put(flag, letters[1:])
                return
            if flag.kind is BOOL:
                values.put(flag, "true")
                continue
            if letters:
                values.put(flag, letters)
                return
            found = next(rest, None)
            if found is None:
                raise UsageError(f"flag needs an argument: '{letter}' in {argument}")
            values.put(flag, found)
            return
