"""Characters to tokens: splits a template into text and actions, and an action into words."""

from __future__ import annotations

from lodge.cli.template.syntax import TemplateError, Token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
}
_HEX = {"x": 2, "u": 4, "U": 8}
_MARKS = ("|", "(", ")", ",", ":=", "=")
_SPACE = " \t\r\n"


def split_actions(text: str) -> Iterator[tuple[bool, str, int]]:
    """Pieces in order: is it an action, its text (already trimmed), where it begins in `text`."""
    position = 0
    trim = False
    while True:
        start = text.find("{{", position)
        outside = text[position:] if start < 0 else text[position:start]
        if trim:
            outside = outside.lstrip(_SPACE)
        if start < 0:
            yield False, outside, position
            return
        inside = start + 2
        if text[inside : inside + 1] == "-" and text[inside + 1 : inside + 2] in tuple(_SPACE):
            outside = outside.rstrip(_SPACE)
            inside += 2
        if outside:
            yield False, outside, position
        end = _action_end(text, inside)
        body = text[inside:end]
        trim = body.endswith("-") and body[-2:-1] in tuple(_SPACE)
        yield True, body[:-1] if trim else body, inside
        position = end + 2


def _action_end(text: str, position: int) -> int:
    """Where the action's closing braces stand; quoted braces and comments do not count."""
    if text.startswith("/*", position) or text[position:].lstrip(_SPACE).startswith("/*"):
        close = text.find("*/", position)
        if close < 0:
            raise TemplateError("unclosed comment")
        position = close + 2
    while position < len(text):
        if text.startswith("}}", position):
            return position
        character = text[position]
        if character in "\"'":
            position = _skip_quoted(text, position)
        elif character == "`":
            close = text.find("`", position + 1)
            if close < 0:
                raise TemplateError("unterminated raw quoted string")
            position = close
        position += 1
    raise TemplateError("unclosed action")


def _skip_quoted(text: str, position: int) -> int:
    quote = text[position]
    position += 1
    while position < len(text) and text[position] != quote:
        position += 2 if text[position] == "\\" else 1
    if position >= len(text):
        raise TemplateError("unterminated quoted string")
    return position


def tokenize(action: str, start: int) -> list[Token]:
    """The words of one action that begins at `start`."""
    tokens: list[Token] = []
    position = 0
    tight = False
    while position < len(action):
        character = action[position]
        if character in _SPACE:
            position += 1
            tight = False
            continue
        if action.startswith("/*", position):
            position = action.index("*/", position) + 2
            continue
        begin = position
        token, position = _next(action, begin, tight)
        token.start, token.end = start + begin, start + position
        tokens.append(token)
        tight = True
    return tokens


def _next(action: str, start: int, tight: bool) -> tuple[Token, int]:
    character = action[start]
    if character == ".":
        end = _name_end(action, start + 1)
        if end > start + 1 and not action[start + 1].isdigit():
            return Token("field", action[start + 1 : end], tight), end
        if end == start + 1:
            return Token("field", "", tight), end
    if character == "$":
        end = _name_end(action, start + 1)
        return Token("variable", action[start:end], tight), end
    if character in "\"'`":
        return _quoted(action, start, tight)
    if character.isdigit() or character in "+-.":
        return _number(action, start, tight)
    if character.isalpha() or character == "_":
        end = _name_end(action, start)
        return Token("name", action[start:end], tight), end
    for mark in _MARKS:
        if action.startswith(mark, start):
            return Token("mark", mark, tight), start + len(mark)
    raise TemplateError(f"unexpected {character!r} in action")


def _name_end(action: str, position: int) -> int:
    while position < len(action) and (action[position].isalnum() or action[position] == "_"):
        position += 1
    return position


def _number(action: str, start: int, tight: bool) -> tuple[Token, int]:
    end = start + 1
    while end < len(action) and (action[end].isalnum() or action[end] in "._"):
        end += 1
    word = action[start:end]
    try:
        return Token("number", int(word, 0), tight), end
    except ValueError:
        pass
    try:
        return Token("number", float(word), tight), end
    except ValueError:
        raise TemplateError(f'bad number syntax: "{word}"') from None


def _quoted(action: str, start: int, tight: bool) -> tuple[Token, int]:
    quote = action[start]
    if quote == "`":
        end = action.index("`", start + 1)
        return Token("text", action[start + 1 : end], tight), end + 1
    parts = []
    position = start + 1
    while action[position] != quote:
        if action[position] != "\\":
            parts.append(action[position])
            position += 1
            continue
        code = action[position + 1]
        if code in _HEX:
            digits = action[position + 2 : position + 2 + _HEX[code]]
            try:
                parts.append(chr(int(digits, 16)))
            except ValueError:
                raise TemplateError("invalid escape in a quoted string") from None
            position += 2 + _HEX[code]
        elif code in _ESCAPES:
            parts.append(_ESCAPES[code])
            position += 2
        else:
            raise TemplateError("invalid escape in a quoted string")
    text = "".join(parts)
    if quote == "'":
        if len(text) != 1:
            raise TemplateError("malformed character constant")
        return Token("number", ord(text), tight), position + 1
    return Token("text", text, tight), position + 1
