"""Words with quotes, escapes and variables, as a shell has them and Dockerfiles use them.

`Lexer.word` expands a text as one word, `Lexer.words` splits what comes out at unquoted white space. Forms:
$x ${x} ${x:-w} ${x-w} ${x:+w} ${x+w} ${x:?w} ${x?w} ${x#p} ${x##p} ${x%p} ${x%%p} ${x/p/r} ${x//p/r}.
Source: Docker's Dockerfile reference, "Environment replacement".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from lodge.build.dockerfile.problems import DockerfileError

_SPECIAL = "@*#?-$!0"
_END = ""
_DEEPEST = 64


class Expanded(Struct):
    """What came out; `used` and `unknown` are the names that were asked for."""

    text: str = ""
    words: list[str] = []
    used: dict[str, None] = {}
    unknown: dict[str, None] = {}


class Lexer:
    """One way of reading words.

    `quotes` False takes quotes literally; `keep_quotes` leaves them in the result; `keep_escapes` leaves the
    escape character; `keep_unknown` leaves variables that are not known as they stand.
    """

    def __init__(
        self,
        escape: str = "\\",
        *,
        quotes: bool = True,
        keep_quotes: bool = False,
        keep_escapes: bool = False,
        keep_unknown: bool = False,
    ) -> None:
        self.escape = escape
        self.quotes = quotes
        self.keep_quotes = keep_quotes
        self.keep_escapes = keep_escapes
        self.keep_unknown = keep_unknown

    def expand(self, text: str, values: Mapping[str, str]) -> Expanded:
        """Expand; DockerfileError for a form that is none."""
        run = _Run(self, text, values)
        try:
            whole, words = run.until(_END, self.keep_escapes)
        except DockerfileError as error:
            message = f'failed to process "{text}": {error.what}'
            raise DockerfileError(message, column=min(run.place, len(text)) + 1) from None
        return Expanded(text=whole, words=words, used=run.used, unknown=run.unknown)

    def word(self, text: str, values: Mapping[str, str]) -> str:
        """One word; white space stays."""
        return self.expand(text, values).text

    def words(self, text: str, values: Mapping[str, str]) -> list[str]:
        """All words."""
        return self.expand(text, values).words


class _Words:
    """Collects words: unquoted white space ends one."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._now: list[str] = []

    def plain(self, text: str) -> None:
        for char in text:
            if not char.isspace():
                self._now.append(char)
            elif self._now:
                self.end()

    def quoted(self, text: str) -> None:
        self._now.append(text)

    def end(self) -> list[str]:
        word = "".join(self._now)
        self._now = []
        if word:
            self.done.append(word)
        return self.done


class _Run:
    """One pass over one text."""

    def __init__(self, lexer: Lexer, text: str, values: Mapping[str, str]) -> None:
        self._lexer = lexer
        self._text = text
        self._values = values
        self._depth = 0
        self.place = 0
        self.used: dict[str, None] = {}
        self.unknown: dict[str, None] = {}

    def _peek(self) -> str:
        return self._text[self.place] if self.place < len(self._text) else _END

    def _next(self) -> str:
        char = self._peek()
        self.place += 1
        return char

    def until(self, stop: str, keep_escapes: bool) -> tuple[str, list[str]]:
        """Read up to a character (or the end), which is taken; the text and its words."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise DockerfileError("substitutions are nested too deeply")
        whole: list[str] = []
        words = _Words()
        while (char := self._peek()) != _END:
            if char == stop:
                self.place += 1
                self._depth -= 1
                return "".join(whole), words.end()
            if char == "$":
                piece = self._dollar(keep_escapes)
                words.plain(piece)
            elif char in "'\"" and self._lexer.quotes:
                piece = self._single() if char == "'" else self._double(keep_escapes)
                words.quoted(piece)
            else:
                piece = self._ordinary(words, keep_escapes)
            whole.append(piece)
        if stop != _END:
            raise DockerfileError(f"unexpected end of statement while looking for matching {stop}")
        return "".join(whole), words.end()

    def _ordinary(self, words: _Words, keep_escapes: bool) -> str:
        char = self._next()
        if char == "<" and self._peek() == "<":
            return self._heredoc_mark(words)
        if char != self._lexer.escape:
            words.plain(char)
            return char
        kept = char if keep_escapes else ""
        escaped = self._next()
        words.quoted(kept + escaped)
        return kept + escaped

    def _heredoc_mark(self, words: _Words) -> str:
        """A heredoc's word may stand apart from its `<<`, and is one word with it."""
        self.place += 1
        mark = "<<"
        while self._peek() and self._peek() in "\t\r ":
            mark += self._next()
        words.quoted(mark)
        return mark

    def _single(self) -> str:
        begin = self.place
        end = self._text.find("'", begin + 1)
        if end < 0:
            self.place = len(self._text)
            raise DockerfileError("unexpected end of statement while looking for matching single-quote")
        self.place = end + 1
        return self._text[begin : end + 1] if self._lexer.keep_quotes else self._text[begin + 1 : end]

    def _double(self, keep_escapes: bool) -> str:
        mark = self._next() if self._lexer.keep_quotes else self._next()[:0]
        found = [mark]
        while (char := self._peek()) != '"':
            if char == _END:
                raise DockerfileError("unexpected end of statement while looking for matching double-quote")
            if char == "$":
                found.append(self._dollar(keep_escapes))
                continue
            self.place += 1
            if char == self._lexer.escape:
                following = self._peek()
                if keep_escapes:
                    found.append(char)
                if following == _END:
                    continue
                if following in ('"', "$", self._lexer.escape):
                    self.place += 1
                    found.append(following)
                    continue
                if keep_escapes:
                    continue
            found.append(char)
        self.place += 1
        found.append(mark)
        return "".join(found)

    def _dollar(self, keep_escapes: bool) -> str:
        self.place += 1
        if self._peek() != "{":
            name = self._name()
            if not name:
                return "$"
            value = self._value(name)
            return f"${name}" if value is None and self._lexer.keep_unknown else value or ""
        self.place += 1
        if self._peek() == _END:
            raise DockerfileError("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise DockerfileError("syntax error: bad substitution")
        name = self._name()
        sign = self._next()
        if sign == "}":
            value = self._value(name)
            return f"${{{name}}}" if value is None and self._lexer.keep_unknown else value or ""
        return self._replace(name) if sign == "/" else self._modified(name, sign, keep_escapes)

    def _modified(self, name: str, sign: str, keep_escapes: bool) -> str:
        del keep_escapes
        empty_is_unset = sign == ":"
        shown = sign
        if empty_is_unset:
            sign = self._next()
            shown += sign
        trims = sign in ("#", "%") and sign != _END
        if sign == _END or sign not in "+-?#%" or (empty_is_unset and trims):
            raise DockerfileError(f"unsupported modifier ({shown}) in substitution")
        word = self._part("}", trims)
        value = self._value(name)
        if value is None and self._lexer.keep_unknown:
            return f"${{{name}{shown}{word}}}"
        there = value is not None and not (empty_is_unset and value == "")
        match sign:
            case "-":
                return value or "" if there else word
            case "+":
                return word if there else ""
            case "?":
                if not there:
                    state = "unset" if value is None else "empty"
                    raise DockerfileError(f"{name}: {word or f'is not allowed to be {state}'}")
                return value or ""
            case _:
                return _trim(value or "", word, sign)

    def _part(self, stop: str, keep_escapes: bool) -> str:
        try:
            return self.until(stop, keep_escapes)[0]
        except DockerfileError:
            if self.place >= len(self._text):
                missing = "'/' in ${}" if stop == "/" else "'}'"
                raise DockerfileError(f"syntax error: missing {missing}") from None
            raise

    def _replace(self, name: str) -> str:
        everywhere = self._peek() == "/"
        if everywhere:
            self.place += 1
        pattern = self._part("/", True)
        replacement = self._part("}", True)
        value = self._value(name)
        if value is None and self._lexer.keep_unknown:
            return f"${{{name}{'//' if everywhere else '/'}{pattern}/{replacement}}}"
        compiled = _pattern(pattern, greedy=True)
        return compiled.sub(lambda _: replacement, value or "", count=0 if everywhere else 1)

    def _name(self) -> str:
        begin = self.place
        first = self._peek()
        if first and first.isdigit():
            while self._peek() and self._peek().isdigit():
                self.place += 1
        elif first and first in _SPECIAL:
            self.place += 1
        else:
            while (char := self._peek()) and (char.isalpha() or char.isdigit() or char == "_"):
                self.place += 1
        return self._text[begin : self.place]

    def _value(self, name: str) -> str | None:
        value = self._values.get(name)
        (self.unknown if value is None else self.used)[name] = None
        return value


def _trim(value: str, pattern: str, sign: str) -> str:
    greedy = pattern.startswith(sign)
    pattern = pattern[1:] if greedy else pattern
    if sign == "#":
        found = _pattern(pattern, greedy=greedy).match(value)
        return value[found.end() :] if found else value
    compiled = _pattern(pattern, greedy=greedy)
    # The shortest end lies furthest right, the longest furthest left.
    places = range(len(value) + 1) if greedy else range(len(value), -1, -1)
    for place in places:
        if compiled.fullmatch(value, place):
            return value[:place]
    return value


def _pattern(pattern: str, *, greedy: bool) -> re.Pattern[str]:
    """A shell's pattern of `*` and `?` as a regular expression; brackets mean themselves."""
    made: list[str] = []
    signs = iter(pattern)
    for sign in signs:
        if sign == "*":
            made.append(".*" if greedy else ".*?")
        elif sign == "?":
            made.append(".")
        elif sign == "\\":
            escaped = next(signs, "")
            if escaped == "" or escaped not in "*?\\}/":
                raise DockerfileError(
                    f"invalid pattern ({pattern}) in substitution: invalid escape '\\{escaped}'"
                )
            made.append(re.escape(escaped))
        else:
            made.append(re.escape(sign))
    return re.compile("".join(made))
