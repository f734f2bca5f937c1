"""`lodge compare`: the same image and command as a container and as a machine, measured side by side."""

from __future__ import annotations

from lodge.cli.command import ANY, Command
from lodge.cli.flags import BOOL, STRING, Flag
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.command import Context
    from lodge.cli.flags import Values

_MOST_ROUNDS = 100


def _compare(ctx: Context, values: Values, arguments: list[str]) -> None:
    from lodge.cli.comparing.measure import Comparison
    from lodge.cli.comparing.report import lines

    image, *command = arguments
    if command[:1] == ["--"]:
        command = command[1:]
    comparison = Comparison(ctx.engine, image, command, ctx.err if not values["quiet"] else _silence)
    comparison.run(_rounds(values["rounds"]), probes=not values["no-probes"])
    if values["json"]:
        import json

        _write(ctx, values["json"], json.dumps(comparison.result, indent=2) + "\n")
    if values["html"]:
        from lodge.cli.comparing.page import page

        _write(ctx, values["html"], page(comparison.result))
    if "-" not in (values["json"], values["html"]):
        for line in lines(comparison.result):
            ctx.out(line)


def _rounds(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST_ROUNDS:
        raise InvalidArgument(f"--rounds takes a number from 1 to {_MOST_ROUNDS}, not {text!r}")
    return int(text)


def _write(ctx: Context, place: str, text: str) -> None:
    if place == "-":
        ctx.out(text.rstrip("\n"))
        return
    try:
        with open(place, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InvalidArgument(f"error writing to {place}: {error.strerror}") from error


def _silence(_text: str) -> None:
    """Say nothing."""


COMPARE = Command(
    "[OPTIONS] IMAGE [--] [COMMAND] [ARG...]",
    "Run an image in a container and in a machine, and show what each costs",
    _compare,
    flags=(
        Flag("html", STRING, "Write a page with charts to this file"),
        Flag("json", STRING, "Write all that was measured to this file, - for standard output"),
        Flag("no-probes", BOOL, "Only run the command, without the workloads"),
        Flag("quiet", BOOL, "Do not say what is being done", short="q"),
        Flag("rounds", STRING, "How often each is run", default="5"),
    ),
    minimum=1,
    maximum=ANY,
    mixed=False,
    complete="image",
)
