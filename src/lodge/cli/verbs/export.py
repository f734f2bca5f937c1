"""What a container has become: `commit` makes an image of it, `export` a tar archive."""

from __future__ import annotations

import os

from lodge.cli.command import Command, Failure
from lodge.cli.flags import BOOL, LIST, STRING, Flag
from lodge.cli.images import split_reference
from lodge.client.engine import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.command import Context
    from lodge.cli.flags import Values


def _export(ctx: Context, values: Values, arguments: list[str]) -> None:
    from lodge.cli.verbs.archives import save_body

    if not values["output"] and os.isatty(1):
        raise Failure("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    response = ctx.engine.open("GET", f"/containers/{quote(arguments[0])}/export")
    try:
        save_body(response, values["output"])
    finally:
        ctx.engine.release(response)


def _commit(ctx: Context, values: Values, arguments: list[str]) -> None:
    repository, tag = split_reference(arguments[1]) if len(arguments) > 1 else ("", "")
    pause = not values["no-pause"] if "no-pause" in values else values["pause"]
    query: dict[str, str | list[str] | None] = {
        "container": arguments[0],
        "repo": repository or None,
        "tag": tag or None,
        "comment": values["message"] or None,
        "author": values["author"] or None,
        "changes": values["change"] or None,
        "pause": "1" if pause else "0",
    }
    ctx.out(ctx.engine.call("POST", "/commit", query=query, json={})["Id"])


EXPORT = Command(
    "[OPTIONS] CONTAINER",
    "Export a container's file system as a tar archive",
    _export,
    flags=(Flag("output", STRING, "Write to this file", short="o"),),
    minimum=1,
    maximum=1,
    complete="container",
)
COMMIT = Command(
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Make an image of what a container changed",
    _commit,
    flags=(
        Flag("author", STRING, "Who made it", short="a"),
        Flag("change", LIST, "A Dockerfile instruction to apply", short="c"),
        Flag("message", STRING, "A comment in its history", short="m"),
        Flag("no-pause", BOOL, "Let the container run meanwhile"),
        Flag("pause", BOOL, "Stop the container meanwhile", short="p", default=True, hidden=True),
    ),
    minimum=1,
    maximum=2,
    complete="container",
)
