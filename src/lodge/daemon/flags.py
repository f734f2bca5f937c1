"""The command line of lodged in the grammar of Docker's: `--name=value`, `--name value`, `-Dl debug`."""

from __future__ import annotations

from typing import Any

from lodge.daemon.options import BY_NAME, BY_SHORT, Option
from lodge.daemon.values import merge
from lodge.errors import InvalidArgument

Given = dict[str, Any]
"""Values by the key that they have in daemon.json."""


def parse(arguments: list[str]) -> Given:
    """What the command line says. InvalidArgument in Docker's words."""
    given: Given = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--" and not rest:
            break
        if word.startswith("--") and len(word) > 2:
            _long(word[2:], rest, given)
        elif word.startswith("-") and len(word) > 1:
            _short(word[1:], rest, given)
        else:
            raise InvalidArgument('"lodged" accepts no arguments.', hint="see 'lodged --help'")
    return given


def _long(word: str, rest: list[str], given: Given) -> None:
    name, equals, text = word.partition("=")
    option = BY_NAME.get(name)
    if option is None:
        raise InvalidArgument(f"unknown flag: --{name}", hint=_closest(name))
    if not equals:
        text = "true" if option.kind == "flag" else _next(rest, f"--{name}")
    _set(option, text, given, f"--{name}")


def _short(letters: str, rest: list[str], given: Given) -> None:
    whole = letters
    while letters:
        letter, letters = letters[0], letters[1:]
        option = BY_SHORT.get(letter)
        if option is None:
            raise InvalidArgument(
                f"unknown shorthand flag: '{letter}' in -{whole}", hint="see 'lodged --help'"
            )
        if option.kind == "flag":
            text = "true"
            if letters.startswith("="):
                text, letters = letters[1:], ""
        else:
            text, letters = letters.removeprefix("=") or _next(rest, f"-{letter}"), ""
        _set(option, text, given, f"-{letter}, --{option.name}")


def _next(rest: list[str], name: str) -> str:
    if not rest:
        raise InvalidArgument(f"flag needs an argument: {name}")
    return rest.pop(0)


def _set(option: Option, text: str, given: Given, name: str) -> None:
    try:
        given[option.file_key] = merge(option.kind, given.get(option.file_key), text)
    except InvalidArgument as error:
        raise InvalidArgument(f'invalid argument "{text}" for "{name}" flag: {error.message}') from None


def _closest(name: str) -> str:
    import difflib

    found = difflib.get_close_matches(name, BY_NAME, 1)
    return f"did you mean --{found[0]}?" if found else "see 'lodged --help'"
