"""Help texts, drawn from the tables of verbs and flags, and the guess behind a mistyped verb."""

from __future__ import annotations

import sys

from lodge.cli.colour import BOLD, CYAN, paint
from lodge.cli.terminal import columns
from lodge.cli.tree import COMMON, GROUPS, TREE, UNLISTED, aliases, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lodge.cli.command import Command
    from lodge.cli.flags import Flag


def show_root(flags: Sequence[Flag]) -> None:
    """The overview of all verbs."""
    leaves = {name: leaf for name, leaf in TREE.items() if isinstance(leaf, str)}
    parts = [
        "Usage:  lodge [OPTIONS] COMMAND",
        "Run images as isolated processes.",
        _heading("Common Commands:") + _listing({name: leaves[name] for name in COMMON}),
        _heading("Management Commands:") + _rows(GROUPS.items()),
        _heading("Commands:") + _listing({name: leaf for name, leaf in leaves.items() if name not in COMMON}),
        _heading("Global Options:") + describe_flags(flags),
        "Run 'lodge COMMAND --help' for more information on a command.",
    ]
    sys.stdout.write("\n\n".join(parts) + "\n")


def show_group(group: str) -> None:
    """The verbs of one group."""
    verbs = TREE[group]
    assert isinstance(verbs, dict)
    parts = [
        f"Usage:  lodge {group} COMMAND",
        GROUPS[group],
        _heading("Commands:") + _listing(verbs),
        f"Run 'lodge {group} COMMAND --help' for more information on a command.",
    ]
    sys.stdout.write("\n\n".join(parts) + "\n")


def show_command(path: str, command: Command, leaf: str) -> None:
    """One verb with its flags."""
    parts = [f"Usage:  {path} {command.usage}".rstrip(), command.summary]
    names = aliases(leaf)
    if len(names) > 1:
        parts.append(_heading("Aliases:") + "  " + ", ".join(names))
    if command.flags:
        parts.append(_heading("Options:") + describe_flags(command.flags))
    sys.stdout.write("\n\n".join(parts) + "\n")


def _heading(text: str) -> str:
    return paint(text, BOLD, sys.stdout) + "\n"


def describe_flags(flags: Sequence[Flag]) -> str:
    """The table of options, wrapped to the terminal's width."""
    rows = []
    for flag in sorted(flags, key=lambda flag: flag.name):
        if flag.hidden or flag.refuses:
            continue
        short = f"-{flag.short}, " if flag.short else "    "
        default = flag.default
        text = flag.help
        if default != flag.kind.zero and not flag.kind.many:
            shown = f'"{default}"' if isinstance(default, str) else str(default).lower()
            text += f" (default {shown})"
        rows.append((f"{short}--{flag.name} {flag.kind.name}".rstrip(), text))
    return _rows(rows)


def _listing(verbs: dict[str, str]) -> str:
    return _rows((name, load(leaf).summary) for name, leaf in sorted(verbs.items()) if name not in UNLISTED)


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    rows = list(rows)
    left = max(len(name) for name, _ in rows) + 5
    width = max(columns() - left, 30)
    lines = []
    for name, text in rows:
        first, *more = _wrap(text, width)
        lines.append(f"  {name:<{left - 2}}{first}".rstrip())
        lines += [" " * left + line for line in more]
    return "\n".join(lines)


def _wrap(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def unknown_command(words: Sequence[str]) -> str:
    """What to say to a verb that does not exist, with the nearest ones that do."""
    import difflib

    group = TREE.get(words[0])
    names = group if isinstance(group, dict) and len(words) > 1 else TREE
    path = " ".join(words[:2] if names is group else words[:1])
    near = difflib.get_close_matches(words[1] if names is group else words[0], list(names), 3, 0.6)
    parent = f"lodge {words[0]}" if names is group else "lodge"
    guess = "".join(f"  {paint(f'{parent} {name}', CYAN, sys.stderr)}\n" for name in near)
    hint = f"\nDid you mean this?\n{guess}" if near else ""
    return f"lodge: unknown command: lodge {path}\n{hint}\nRun '{parent} --help' for more information\n"
