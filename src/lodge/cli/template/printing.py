"""How Go prints values: fmt's %v for what templates put out, and Printf's verbs."""

from __future__ import annotations

from lodge.cli.template.syntax import TemplateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def show(value: Any, *, nested: bool = False) -> str:
    """`value` as %v prints it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>" if nested else "<no value>"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _show_float(value)
    if isinstance(value, dict):
        inner = " ".join(f"{key}:{show(value[key], nested=True)}" for key in sorted(value))
        return f"map[{inner}]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(show(item, nested=True) for item in value) + "]"
    if hasattr(value, "fields"):
        return show(value.fields(), nested=nested)
    return str(value)


def _show_float(value: float) -> str:
    """The shortest digits that give the same number, with an exponent below 1e-4 and from 1e21 on."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    if "e" in text and 1e-4 <= abs(value) < 1e21:
        return f"{value:f}".rstrip("0")
    return text


def printf(layout: str, values: Sequence[Any]) -> str:
    """Printf with flags, width, precision and the verbs v s q d t f g e x X c % (T prints a type)."""
    parts = []
    rest = list(values)
    position = 0
    while position < len(layout):
        if layout[position] != "%":
            end = layout.find("%", position)
            end = len(layout) if end < 0 else end
            parts.append(layout[position:end])
            position = end
            continue
        end = position + 1
        while end < len(layout) and layout[end] in "+-# 0123456789.*":
            end += 1
        if end >= len(layout):
            parts.append("%!(NOVERB)")
            break
        flags, verb = layout[position + 1 : end], layout[end]
        position = end + 1
        if verb == "%":
            parts.append("%")
        elif not rest:
            parts.append(f"%!{verb}(MISSING)")
        else:
            if "*" in flags:
                flags = flags.replace("*", str(rest.pop(0)), 1)
            parts.append(_verb(flags, verb, rest.pop(0)))
    if rest:
        extra = ", ".join(f"{type(value).__name__}={show(value)}" for value in rest)
        parts.append(f"%!(EXTRA {extra})")
    return "".join(parts)


def _verb(flags: str, verb: str, value: Any) -> str:
    try:
        if verb in "vs":
            return f"%{flags.replace('+', '').replace('#', '')}s" % show(value)
        if verb == "q":
            import json

            return json.dumps(show(value), ensure_ascii=False)
        if verb == "t":
            return show(bool(value))
        if verb in "dxXocfgeEG":
            return str(f"%{flags}{verb}" % value)
        if verb == "T":
            return type(value).__name__
    except (TypeError, ValueError):
        return f"%!{verb}({type(value).__name__}={show(value)})"
    raise TemplateError(f"printf: no verb %{verb}")
