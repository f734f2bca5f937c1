"""Containers in virtual machines: `vm setup` and `vm info`. They are run by `run --isolation vm`."""

from __future__ import annotations

from lodge.cli.command import Command
from lodge.cli.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.command import Context
    from lodge.cli.flags import Values


def _setup(ctx: Context, values: Values, _arguments: list[str]) -> None:
    import os

    from lodge.cli.progress import show_progress

    query = {name: os.path.abspath(values[name]) if values[name] else None for name in ("kernel", "modules")}
    show_progress(ctx.engine.stream_json("POST", "/lodge/vm/setup", query=query), quiet=values["quiet"])


def _info(ctx: Context, _values: Values, _arguments: list[str]) -> None:
    found = ctx.engine.call("GET", "/lodge/vm")
    ctx.out(f"Kernel: {found['Kernel'] or 'none yet: lodge vm setup'}")
    ctx.out("Hypervisors:")
    for each in found["Hypervisors"]:
        ctx.out(f" {each['Name']}: {'usable' if each['Usable'] else each['Reason']}")


SETUP = Command(
    "[OPTIONS]",
    "Get what machines boot: a kernel from the distribution, or one of yours",
    _setup,
    flags=(
        Flag("kernel", STRING, "Take this kernel instead of the distribution's"),
        Flag("modules", STRING, "The directory of that kernel's modules"),
        Flag("quiet", BOOL, "Show no progress", short="q"),
    ),
    maximum=0,
)
INFO = Command("", "Show the machines' kernel, and which hypervisors can be used", _info, maximum=0)
