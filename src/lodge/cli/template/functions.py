"""The functions of templates: Go's own, and those that Docker adds."""

from __future__ import annotations

from lodge.cli.template.printing import show
from lodge.cli.template.syntax import TemplateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def truth(value: Any) -> bool:
    """Go's truth: not the zero of its kind, not empty."""
    if value is None or value is False:
        return False
    if isinstance(value, (int, float)):
        return value != 0
    if isinstance(value, (str, list, tuple, dict)):
        return len(value) > 0
    return True


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if value is None:
            raise TemplateError("error calling index: index of untyped nil")
        if isinstance(value, dict):
            value = value.get(key, "")
        elif isinstance(value, (list, str, tuple)):
            if not isinstance(key, int):
                raise TemplateError(
                    f"error calling index: cannot index slice/array with type {type(key).__name__}"
                )
            if not 0 <= key < len(value):
                raise TemplateError(f"error calling index: index out of range: {key}")
            value = value[key] if not isinstance(value, str) else ord(value[key])
        else:
            raise TemplateError(f"error calling index: can't index item of type {type(value).__name__}")
    return value


def _slice(value: Any, *bounds: int) -> Any:
    if not isinstance(value, (str, list)) or len(bounds) > 3:
        raise TemplateError("error calling slice: can't slice item")
    low = bounds[0] if bounds else 0
    high = bounds[1] if len(bounds) > 1 else len(value)
    if not 0 <= low <= high <= len(value):
        raise TemplateError("error calling slice: index out of range")
    return value[low:high]


def _length(value: Any) -> int:
    if not isinstance(value, (str, list, tuple, dict)):
        raise TemplateError(f"error calling len: len of type {type(value).__name__}")
    return len(value.encode()) if isinstance(value, str) else len(value)


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise TemplateError("error calling eq: missing argument for comparison")
    return any(_same(first, other) for other in others)


def _same(first: Any, second: Any) -> bool:
    if first is None or second is None:
        return first is second
    numbers = (int, float)
    if isinstance(first, bool) != isinstance(second, bool):
        raise TemplateError("error calling eq: incompatible types for comparison")
    if type(first) is not type(second) and not (isinstance(first, numbers) and isinstance(second, numbers)):
        raise TemplateError("error calling eq: incompatible types for comparison")
    return bool(first == second)


def _less(first: Any, second: Any) -> bool:
    try:
        return bool(first < second)
    except TypeError:
        raise TemplateError("error calling lt: incompatible types for comparison") from None


def _printf(layout: str, *values: Any) -> str:
    from lodge.cli.template.printing import printf

    return printf(layout, values)


def _print(*values: Any) -> str:
    """Go's Sprint: a space only between two values neither of which is a string."""
    parts: list[str] = []
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            parts.append(" ")
        parts.append(show(value))
    return "".join(parts)


def _println(*values: Any) -> str:
    return " ".join(show(value) for value in values) + "\n"


def _json(value: Any) -> str:
    import json

    if not hasattr(value, "fields"):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    text = json.dumps(value.fields(), separators=(",", ":"), ensure_ascii=False)
    for character in "<>&":  # as Go's encoder writes the rows of lists, and only those
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _join(value: Any, separator: str) -> str:
    if isinstance(value, str):
        return value
    return separator.join(show(item) for item in value or ())


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def _title(text: str) -> str:
    """Upper case at the start of each word; digits and quotes belong to words."""
    found = ""
    for character in text:
        inside = found and (found[-1].isalnum() or found[-1] in "_'")
        found += character if inside else character.upper()
    return found


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def _truncate(text: str, width: int) -> str:
    return text[:width]


def _html(*values: Any) -> str:
    import html

    return html.escape(_print(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def _urlquery(*values: Any) -> str:
    from urllib.parse import quote_plus

    return quote_plus(_print(*values))


FUNCTIONS: dict[str, Callable[..., Any] | None] = {
    "and": None,  # these two stop at the first answer, so the evaluator has them
    "or": None,
    "eq": _equal,
    "ge": lambda first, second: not _less(first, second),
    "gt": lambda first, second: not _less(first, second) and not _same(first, second),
    "html": _html,
    "index": _index,
    "join": _join,
    "json": _json,
    "le": lambda first, second: _less(first, second) or _same(first, second),
    "len": _length,
    "lower": lambda text: text.lower(),
    "lt": _less,
    "ne": lambda first, second: not _same(first, second),
    "not": lambda value: not truth(value),
    "pad": _pad,
    "print": _print,
    "printf": _printf,
    "println": _println,
    "slice": _slice,
    "split": _split,
    "title": _title,
    "truncate": _truncate,
    "upper": lambda text: text.upper(),
    "urlquery": _urlquery,
}

SHAPING = frozenset(("json", "lower", "pad", "split", "title", "truncate", "upper", "join"))
"""In a table's header these leave their argument as it is."""
