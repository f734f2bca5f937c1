"""What the instructions' functions share while a build is planned: variables, names, checks."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping

from lodge.build.contract import Options
from lodge.build.dockerfile.instructions import Instruction
from lodge.build.dockerfile.lint import Lint
from lodge.build.dockerfile.words import Lexer


class Workshop:
    """One build's. `given` are the user's ARGs, `globals` those before the first FROM, platforms included."""

    def __init__(self, options: Options, escape: str, values: Mapping[str, str], lint: Lint) -> None:
        self.options = options
        self.given = options.arguments
        self.globals = values
        self.lint = lint
        self.lexer = Lexer(escape)
        self.text_lexer = Lexer(escape, quotes=False)

    def expand(self, text: str, values: Mapping[str, str], instruction: Instruction) -> str:
        """Expand as one word; names that are not known are findings."""
        if "$" not in text and "\\" not in text and "`" not in text and "'" not in text and '"' not in text:
            return text
        found = self.lexer.expand(text, values)
        self.lint.undefined(found.unknown, values, instruction)
        return found.text

    def words(self, text: str, values: Mapping[str, str], instruction: Instruction) -> list[str]:
        """Expand, then cut into words."""
        found = self.lexer.expand(text, values)
        self.lint.undefined(found.unknown, values, instruction)
        return found.words


def absolute(path: str, workdir: str) -> str:
    """A path in the image: relative ones start at the working directory; a final slash stays."""
    whole = posixpath.normpath(posixpath.join("/", workdir or "/", path))
    whole = "/" + whole.lstrip("/")
    directory = path.endswith(("/", "/.")) or path in ("", ".")
    return whole + "/" if directory and whole != "/" else whole


def go_quote(text: str) -> str:
    """A text in double quotes, as Go's %q."""
    return json.dumps(text, ensure_ascii=False)


def go_rune(number: int) -> str:
    """A small number as Go's %q shows it: as the character of that code."""
    escapes = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 39: "'", 92: "\\"}
    if number in escapes:
        return f"'\\{escapes[number]}'"
    return f"'{chr(number)}'" if 32 <= number < 127 else f"'\\x{number:02x}'"


def go_duration(nanoseconds: int) -> str:
    """A time span as Go's Duration writes it: `1m30s`, `500ms`, `0s`."""
    if not nanoseconds:
        return "0s"
    if nanoseconds < 10**9:
        unit, size = ("ms", 10**6) if nanoseconds >= 10**6 else ("µs", 10**3)
        return f"{nanoseconds / size:.9f}".rstrip("0").rstrip(".") + unit
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 10**9:.9f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds
