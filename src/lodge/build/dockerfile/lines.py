"""Text -> logical lines: continuations joined, comments dropped, heredocs attached, flags cut off.

Reads the rules of Docker's parser: `# escape=` chooses the character that continues lines, a comment inside a
continued line vanishes, an empty line inside one does too, with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from lodge.build.dockerfile.directives import Directives, read_directives
from lodge.build.dockerfile.problems import DockerfileError, Lines
from lodge.build.dockerfile.words import Lexer

_HEREDOC = re.compile(r"(\d*)<<(-?)\s*([^<]*)")
_TABS = re.compile(r"^\t+", re.MULTILINE)
_MAY_HAVE_HEREDOCS = frozenset(("add", "copy", "run"))
LONGEST_LINE = 65_535


class Heredoc(Struct, frozen=True):
    """A text in the Dockerfile: `<<NAME`. `chomp` says that leading tabs go."""

    name: str
    content: str = ""
    expand: bool = True
    chomp: bool = False

    @property
    def text(self) -> str:
        """What the file holds."""
        return _TABS.sub("", self.content) if self.chomp else self.content


class Line(Struct, frozen=True):
    """One instruction's text. `word` is as written; `rest` is behind the flags; `lines` where it stands."""

    word: str
    rest: str
    flags: tuple[str, ...]
    whole: str
    lines: Lines
    heredocs: tuple[Heredoc, ...] = ()
    comments: tuple[str, ...] = ()

    @property
    def keyword(self) -> str:
        """The instruction in lower case."""
        return self.word.lower()


class Script(Struct):
    """A Dockerfile in lines. `empty_continuations` are the lines for the lint rule."""

    lines: list[Line]
    directives: Directives
    empty_continuations: list[Lines] = []


def read_lines(text: str) -> Script:
    """Cut a whole Dockerfile. Raises DockerfileError with the line."""
    text = text.removeprefix("\ufeff")
    raw = text.splitlines(keepends=True) if "\r" not in text else _split(text)
    for number, line in enumerate(raw, 1):
        if len(line) > LONGEST_LINE:
            raise DockerfileError(
                f"dockerfile line greater than max allowed size of {LONGEST_LINE}", lines=(number, number)
            )
        if "\0" in line:
            raise DockerfileError("a NUL byte in the text", lines=(number, number))
    return _Cutter(raw, read_directives(raw)).run()


def _split(text: str) -> list[str]:
    return [line for line in re.split(r"(?<=\n)", text) if line]


class _Cutter:
    """One pass."""

    def __init__(self, raw: Sequence[str], directives: Directives) -> None:
        self._raw = raw
        self._directives = directives
        mark = re.escape(directives.escape)
        self._continued = re.compile(rf"(?:(?<=[^{mark}])|^){mark}[ \t]*$")
        self._place = 0
        self._comments: list[str] = []
        self._script = Script(lines=[], directives=directives)

    def run(self) -> Script:
        while self._place < len(self._raw):
            start = self._place + 1
            try:
                self._one(start)
            except DockerfileError as error:
                raise error.at((start, self._place)) from None
        if not self._script.lines:
            raise DockerfileError("file with no instructions", lines=(max(1, len(self._raw)),) * 2)
        return self._script

    def _one(self, start: int) -> None:
        line = self._take().lstrip()
        if line.startswith("#"):
            self._comment(line, start)
            return
        text, more = self._trim(line)
        if not text and not more:
            return
        if more:
            text += self._continuation()
        made = self._make(text, start)
        if made is not None:
            self._script.lines.append(made)
        self._comments = []

    def _comment(self, line: str, number: int) -> None:
        if number in self._directives.at:
            return
        words = line[1:].strip()
        if words:
            self._comments.append(words)
        else:
            self._comments = []

    def _take(self) -> str:
        line = self._raw[self._place]
        self._place += 1
        return line.rstrip("\r\n")

    def _trim(self, line: str) -> tuple[str, bool]:
        found = self._continued.search(line)
        return (line[: found.start()], True) if found else (line, False)

    def _continuation(self) -> str:
        parts: list[str] = []
        empty = False
        while self._place < len(self._raw):
            line = self._take()
            if line.lstrip().startswith("#"):
                continue
            if not line.strip():
                empty = True
                continue
            part, more = self._trim(line)
            parts.append(part)
            if not more:
                break
        if empty:
            self._script.empty_continuations.append((self._place, self._place))
        return "".join(parts)

    def _make(self, text: str, start: int) -> Line | None:
        word, flags, rest = split_command(text, self._directives.escape)
        if not word:
            return None
        heredocs: tuple[Heredoc, ...] = ()
        if "<<" in text and self._has_heredocs(word, rest):
            heredocs = tuple(self._read(heredoc) for heredoc in heredocs_of(text))
        return Line(
            word=word,
            rest=rest,
            flags=flags,
            whole=text.strip(),
            lines=(start, self._place),
            heredocs=heredocs,
            comments=tuple(self._comments),
        )

    @staticmethod
    def _has_heredocs(word: str, rest: str) -> bool:
        word = word.lower()
        if word == "onbuild":
            word = rest.split(maxsplit=1)[0].lower() if rest else ""
        # Exec form has no shell to read one, and no syntax for one.
        return word in _MAY_HAVE_HEREDOCS and not rest.lstrip().startswith("[")

    def _read(self, heredoc: Heredoc) -> Heredoc:
        parts: list[str] = []
        while self._place < len(self._raw):
            line = self._raw[self._place]
            self._place += 1
            bare = line.rstrip("\r\n")
            if (bare.lstrip("\t") if heredoc.chomp else bare) == heredoc.name:
                return Heredoc(heredoc.name, "".join(parts), heredoc.expand, heredoc.chomp)
            parts.append(line)
        raise DockerfileError(
            "unterminated heredoc", hint=f"a line with nothing but {heredoc.name} must end it"
        )


def heredocs_of(text: str) -> Iterator[Heredoc]:
    """The heredocs that an instruction's first line announces."""
    lexer = Lexer("\\", keep_quotes=True, keep_escapes=True, keep_unknown=True)
    try:
        words = lexer.words(text, {})
    except DockerfileError:
        # A shell may understand what we don't; then there is no heredoc for us.
        return
    for word in words:
        found = parse_heredoc(word)
        if found is not None:
            yield found


def parse_heredoc(word: str) -> Heredoc | None:
    """`<<NAME`, `<<-NAME`, `<<"NAME"`, with a descriptor's number before it; None for any other word."""
    found = _HEREDOC.fullmatch(word)
    if found is None or not found[3]:
        return None
    plain = Lexer("\\", keep_unknown=True).words(found[3], {})
    if len(plain) != 1:
        return None
    raw = Lexer("\\", keep_quotes=True, keep_unknown=True).words(found[3], {})[0]
    quoted = raw.count("'") + raw.count('"') != plain[0].count("'") + plain[0].count('"')
    return Heredoc(plain[0], expand=not quoted, chomp=found[2] == "-")


def split_command(text: str, escape: str) -> tuple[str, tuple[str, ...], str]:
    """The instruction, its flags (`--name=value`, quotes undone) and the rest, trimmed."""
    parts = text.strip().split(None, 1)
    if not parts:
        return "", (), ""
    flags, rest = _flags(parts[1] if len(parts) > 1 else "", escape)
    return parts[0], tuple(flags), rest.strip()


def _flags(text: str, escape: str) -> tuple[list[str], str]:
    """Flags stand before the arguments; a bare `--` ends them."""
    flags: list[str] = []
    place = 0
    while True:
        while place < len(text) and text[place].isspace():
            place += 1
        if not text.startswith("--", place):
            return flags, text[place:]
        word, place = _flag_word(text, place, escape)
        if word == "--":
            return flags, text[place:]
        flags.append(word)


def _flag_word(text: str, place: int, escape: str) -> tuple[str, int]:
    """One flag's word: quotes group and go, an escape takes what follows it as it is."""
    word: list[str] = []
    quote = ""
    while place < len(text):
        char = text[place]
        if not quote and char.isspace():
            break
        if char == escape:
            if place + 1 == len(text):
                place += 1
                break
            place += 1
            word.append(text[place])
        elif not quote and char in "'\"":
            quote = char
        elif char == quote:
            quote = ""
        else:
            word.append(char)
        place += 1
    return "".join(word), place
