"""`builder mounts`, `export` and `import`: the caches of RUN --mount=type=cache, listed and carried."""

from __future__ import annotations

import os

from lodge.cli.command import Command, Failure
from lodge.cli.flags import STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.command import Context
    from lodge.cli.flags import Values


def _mounts(ctx: Context, _values: Values, _arguments: list[str]) -> None:
    import time

    from lodge.cli.human import ago, size
    from lodge.cli.table import align
    from lodge.cli.times import parse_rfc3339

    rows = [
        f"{each['ID']}\t{size(each['Size'])}\t{ago(time.time() - parse_rfc3339(each['LastUsedAt']))}"
        for each in ctx.engine.call("GET", "/lodge/build/mounts")
    ]
    ctx.out(align(["CACHE ID\tSIZE\tCHANGED", *rows]).rstrip("\n"))


def _export(ctx: Context, values: Values, arguments: list[str]) -> None:
    from lodge.cli.verbs.archives import save_body

    response = ctx.engine.open("GET", "/lodge/build/mounts/get", query={"id": arguments[0]})
    try:
        save_body(response, values["output"])
    finally:
        ctx.engine.release(response)


def _import(ctx: Context, values: Values, arguments: list[str]) -> None:
    from lodge.cli.verbs.archives import read_pieces

    descriptor = 0
    if values["input"]:
        try:
            descriptor = os.open(values["input"], os.O_RDONLY)
        except OSError as error:
            raise Failure(f"open {values['input']}: {(error.strerror or '').lower()}") from error
    response = ctx.engine.open(
        "POST", "/lodge/build/mounts/load", query={"id": arguments[0]}, body=read_pieces(descriptor)
    )
    response.read_all()
    ctx.engine.release(response)


MOUNTS = Command("", "List the caches that RUN --mount=type=cache has left", _mounts)
EXPORT = Command(
    "[OPTIONS] ID",
    "Write a cache's files as a tar",
    _export,
    flags=(Flag("output", STRING, "Write to a file, not to standard output", short="o"),),
    minimum=1,
    maximum=1,
)
IMPORT = Command(
    "[OPTIONS] ID",
    "Put a tar's files in the place of a cache's",
    _import,
    flags=(Flag("input", STRING, "Read from a file, not from standard input", short="i"),),
    minimum=1,
    maximum=1,
)
