"""Query parameters in Docker's spellings: booleans, numbers, moments, filters. Pure."""

from __future__ import annotations

import re

import msgspec

from lodge.errors import InvalidArgument
from lodge.http.head import percent_decode

_FALSE = frozenset(("", "0", "no", "false", "none"))
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_SECONDS = re.compile(r"([+-]?\d{1,18})(?:\.(\d*))?", re.ASCII)

Filters = dict[str, list[str]]


class Form:
    """The parameters of one request; each may be given more than once."""

    __slots__ = ("_values",)

    def __init__(self, query: str) -> None:
        self._values: dict[str, list[str]] = {}
        for pair in query.split("&") if query else ():
            if pair:
                name, _, value = pair.partition("=")
                self._values.setdefault(_plain(name), []).append(_plain(value))

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        """The first value."""
        values = self._values.get(name)
        return values[0] if values else default

    def texts(self, name: str) -> list[str]:
        """All values."""
        return self._values.get(name, [])

    def flag(self, name: str, default: bool = False) -> bool:
        """Docker's boolean: everything but an empty text, 0, no, false, none is true."""
        values = self._values.get(name)
        return values[0].strip().lower() not in _FALSE if values else default

    def integer(self, name: str) -> int | None:
        """A number, None when it is not given; InvalidArgument for anything else."""
        value = self.text(name)
        if not value:
            return None
        if not _INTEGER.fullmatch(value):
            raise InvalidArgument(f'strconv.Atoi: parsing "{value}": invalid syntax')
        return int(value)

    def unsigned(self, name: str, what: str) -> int:
        """A number of 32 bits that must be there, `what` it is for the error."""
        value = self.text(name)
        if not _INTEGER.fullmatch(value) or value.startswith("+"):
            raise InvalidArgument(f'invalid {what} "{value}": invalid syntax')
        number = int(value)
        if not 0 <= number < 1 << 32:
            raise InvalidArgument(f'invalid {what} "{value}": value out of range')
        return number

    def moment(self, name: str) -> int:
        """A time as `seconds.fraction` since the epoch, in nanoseconds; 0 when it is not given."""
        value = self.text(name)
        if not value:
            return 0
        found = _SECONDS.fullmatch(value)
        if found is None:
            seconds = value.partition(".")[0]
            raise InvalidArgument(
                f'invalid value for "{name}": invalid timestamp "{value}": '
                f'invalid seconds "{seconds}": invalid syntax'
            )
        fraction = ((found[2] or "") + "000000000")[:9]
        return int(found[1]) * 10**9 + int(fraction)

    def filters(self) -> Filters:
        """The `filters` parameter in either spelling, as key and values."""
        return parse_filters(self.text("filters"))


def parse_filters(text: str) -> Filters:
    """`{"key":["a","b"]}` or the older `{"key":{"a":true}}`; InvalidArgument for anything else."""
    if not text:
        return {}
    try:
        raw = msgspec.json.decode(text, type=dict[str, dict[str, bool] | list[str] | None])
    except (msgspec.MsgspecError, RecursionError):
        raise InvalidArgument("invalid filter") from None
    return {key: list(dict.fromkeys(values)) for key, values in raw.items() if values}


def _plain(text: str) -> str:
    return percent_decode(text.replace("+", " ")) if "+" in text or "%" in text else text
