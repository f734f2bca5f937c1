"""Completion in bash, zsh and fish.

The scripts are a few lines that ask `lodge __complete -- WORDS...` for candidates; the answer comes from the
tables that the parser uses, and names of containers, images, volumes and networks from the engine.
"""

from __future__ import annotations

from lodge.cli.command import ANY, Command
from lodge.cli.flags import BOOL
from lodge.cli.tree import TREE, UNLISTED, load
from lodge.errors import LodgeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lodge.cli.command import Context
    from lodge.cli.flags import Values

SCRIPTS = {
    "bash": """\
_lodge() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line%%$'\\t'*}")
    done < <(lodge __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 0 ]] && compopt -o default
}
complete -F _lodge lodge
""",
    "zsh": """\
#compdef lodge
_lodge() {
    local -a found
    local line
    while IFS= read -r line; do
        found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done < <(lodge __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#found} )); then _describe lodge found; else _files; fi
}
compdef _lodge lodge
""",
    "fish": """\
function __lodge_complete
    set -l words (commandline -opc) (commandline -ct)
    lodge __complete -- $words[2..-1] 2>/dev/null
end
complete -c lodge -f -a '(__lodge_complete)'
complete -c lodge -n 'test -z "$(__lodge_complete)"' -F
""",
}


def _completion(ctx: Context, _values: Values, arguments: list[str]) -> int:
    if arguments[0] not in SCRIPTS:
        ctx.err(f"no completion for {arguments[0]}: choose one of {', '.join(SCRIPTS)}")
        return 1
    ctx.out(SCRIPTS[arguments[0]].rstrip())
    return 0


def _candidates(ctx: Context, _values: Values, words: list[str]) -> None:
    for name, text in candidates(ctx, words):
        ctx.out(f"{name}\t{text}")


def candidates(ctx: Context, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What the last of `words` may become, each with a few words about it."""
    *before, last = words or [""]
    verbs: dict[str, str | dict[str, str]] | dict[str, str] = TREE
    while before:
        entry = verbs.get(before[0])
        if isinstance(entry, dict):
            verbs = entry
            before = before[1:]
            continue
        if entry is not None:
            yield from _of_command(ctx, load(entry), before[1:], last)
        return
    for name, entry in sorted(verbs.items()):
        if name.startswith(last) and name not in UNLISTED:
            yield name, load(entry).summary if isinstance(entry, str) else "commands of its own"


def _of_command(ctx: Context, command: Command, before: list[str], last: str) -> Iterator[tuple[str, str]]:
    if last.startswith("-"):
        for flag in sorted(command.flags, key=lambda flag: flag.name):
            if not (flag.hidden or flag.refuses) and f"--{flag.name}".startswith(last):
                yield f"--{flag.name}", flag.help
        return
    takes_value = {f"--{flag.name}" for flag in command.flags if flag.kind is not BOOL}
    takes_value |= {f"-{flag.short}" for flag in command.flags if flag.short and flag.kind is not BOOL}
    if before and before[-1] in takes_value:
        return  # a value of that flag: the shell's own completion of files is the best guess
    words = [word for word in before if not word.startswith("-")]
    if not command.mixed and words:
        return  # the words of a program
    for name in _names(ctx, command.complete):
        if name.startswith(last) and name not in before:
            yield name, command.complete


def _names(ctx: Context, kind: str) -> list[str]:
    try:
        if kind == "container":
            items = ctx.engine.call("GET", "/containers/json", query={"all": True})
            return sorted(name.removeprefix("/") for item in items for name in item["Names"])
        if kind == "image":
            items = ctx.engine.call("GET", "/images/json")
            return sorted(name for item in items for name in item.get("RepoTags") or ())
        if kind == "volume":
            return sorted(item["Name"] for item in ctx.engine.call("GET", "/volumes").get("Volumes") or ())
        if kind == "network":
            return sorted(item["Name"] for item in ctx.engine.call("GET", "/networks"))
    except LodgeError:
        pass  # no engine, no names
    return []


COMPLETION = Command(
    "bash|zsh|fish",
    "Print the completion script of a shell",
    _completion,
    minimum=1,
    maximum=1,
)
CANDIDATES = Command("[WORD...]", "Print what a word may become", _candidates, maximum=ANY, mixed=False)
