"""What `explore` and `diff` say, as text and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lodge.archive.strata import Difference, Stack, Step
from lodge.spec.descriptor import Descriptor

_SIGNS = {"added": "+", "modified": "~", "deleted": "-"}
_LISTED = 20


class Explored(msgspec.Struct, frozen=True):
    """An image taken apart. `commands` says of each layer what made it, where that is known."""

    name: str
    layers: tuple[Descriptor, ...]
    commands: tuple[str, ...]
    stack: Stack


def size(count: int) -> str:
    """Bytes for people: 999 B, 1.5 kB, 12 MB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def printable(text: str) -> str:
    """A path or command of a stranger: nothing that a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def copies(count: int) -> str:
    """How many layers have bytes of one path."""
    return f"{count} copies" if count != 1 else "1 copy  "


def counts(steps: Sequence[Step]) -> dict[str, int]:
    """How many paths a layer adds, modifies and deletes."""
    found = {"added": 0, "modified": 0, "deleted": 0}
    for step in steps:
        found[step.change] += 1
    return found


def explored_text(explored: Explored) -> str:
    """The summary: layers, then what is wasted."""
    stack = explored.stack
    lines = [
        f"{printable(explored.name)}: {_sum(stack)}",
        "",
        "   #        SIZE       ADDED  MODIFIED   DELETED  MADE BY",
    ]
    for number, (layer, steps) in enumerate(zip(stack.layers, stack.steps, strict=True)):
        made = counts(steps)
        lines.append(
            f"{number:4}  {size(layer.size):>10}  {made['added']:10}{made['modified']:10}{made['deleted']:10}"
            f"  {printable(explored.commands[number])[:100]}".rstrip()
        )
    waste = stack.waste()
    if waste:
        lines += ["", f"Wasted: {size(sum(one.size for one in waste))} in {len(waste)} paths"]
        lines += [
            f"{size(one.size):>12}  {copies(one.count)}  /{printable(one.path)}" for one in waste[:_LISTED]
        ]
        if len(waste) > _LISTED:
            lines.append(f"{'...':>12}  and {len(waste) - _LISTED} more")
    return "\n".join(lines) + "\n"


def _sum(stack: Stack) -> str:
    return (
        f"{len(stack.layers)} layers, {size(stack.size)}, {size(stack.seen)} to be seen, "
        f"efficiency {stack.efficiency:.1%}"
    )


def explored_json(explored: Explored) -> bytes:
    """Everything, every step of every layer included."""
    stack = explored.stack
    layers = [
        {
            "Digest": explored.layers[number].digest,
            "MediaType": explored.layers[number].media_type,
            "CompressedSize": explored.layers[number].size,
            "Size": layer.size,
            "CreatedBy": explored.commands[number],
            "Changes": [
                {"Path": f"/{s.path}", "Change": s.change, "Size": s.size, "Kind": s.kind} for s in steps
            ],
        }
        for number, (layer, steps) in enumerate(zip(stack.layers, stack.steps, strict=True))
    ]
    waste = [{"Path": f"/{one.path}", "Copies": one.count, "Size": one.size} for one in stack.waste()]
    document = {
        "Image": explored.name, "Size": stack.size, "SeenSize": stack.seen,
        "Efficiency": round(stack.efficiency, 6), "Layers": layers, "Wasted": waste,
    }  # fmt: skip
    return msgspec.json.format(_encode(document), indent=2) + b"\n"


def differences_text(found: Sequence[Difference]) -> str:
    """One line a path, and the sum."""
    lines = []
    for one in found:
        change = one.after - one.before
        note = f"  ({one.what})" if one.what else ""
        sign = "+" if change > 0 else "-" if change < 0 else " "
        lines.append(f"{_SIGNS[one.change]} {sign}{size(abs(change)):>9}  /{printable(one.path)}{note}")
    total = sum(one.after - one.before for one in found)
    made = {sign: sum(1 for one in found if one.change == sign) for sign in _SIGNS}
    lines.append(
        f"{made['added']} added, {made['modified']} modified, {made['deleted']} deleted, "
        f"{'-' if total < 0 else '+'}{size(abs(total))}"
    )
    return "\n".join(lines) + "\n"


def differences_json(found: Sequence[Difference]) -> bytes:
    """The same for programs."""
    entries = [
        {
            "Path": f"/{one.path}",
            "Change": one.change,
            "Before": one.before,
            "After": one.after,
            "What": one.what,
        }
        for one in found
    ]
    return msgspec.json.format(_encode(entries), indent=2) + b"\n"


def _encode(value: object) -> bytes:
    """JSON, also of names that are no UTF-8."""
    import json

    return json.dumps(value, ensure_ascii=True).encode()
