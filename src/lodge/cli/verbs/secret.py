"""Secrets without a swarm: `secret create`, `ls` and `rm`. They reach a container by `run --secret`."""

from __future__ import annotations

import sys

from lodge.cli.command import ANY, Command, for_each
from lodge.cli.flags import BOOL, STRING, Flag
from lodge.cli.settings.environment import pairs
from lodge.cli.settings.kinds import LABEL
from lodge.client.engine import quote
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lodge.cli.command import Context
    from lodge.cli.flags import Values


def _create(ctx: Context, values: Values, arguments: list[str]) -> None:
    import base64

    name, place = arguments
    if place == "-":
        data = sys.stdin.buffer.read()
    else:
        try:
            with open(place, "rb") as file:
                data = file.read()
        except OSError as error:
            raise InvalidArgument(f"error reading from {place}: {error.strerror}") from error
    body = {"Name": name, "Labels": pairs(values["label"]), "Data": base64.b64encode(data).decode()}
    ctx.out(ctx.engine.call("POST", "/lodge/secrets/create", json=body)["ID"])


def _ls(ctx: Context, values: Values, _arguments: list[str]) -> None:
    found = ctx.engine.call("GET", "/lodge/secrets")
    if values["quiet"] and not values["format"]:
        for secret in found:
            ctx.out(secret["ID"])
        return
    from lodge.cli.formatting import print_list

    print_list(values["format"], found, _COLUMNS, ("ID", "Name", "CreatedAt"))


def _since(secret: dict[str, Any]) -> str:
    import time

    from lodge.cli.human import ago
    from lodge.cli.times import parse_rfc3339

    return ago(time.time() - parse_rfc3339(secret["CreatedAt"]))


_COLUMNS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "ID": ("ID", lambda secret: secret["ID"]),
    "Name": ("NAME", lambda secret: secret["Spec"]["Name"]),
    "CreatedAt": ("CREATED", _since),
    "Labels": (
        "LABELS",
        lambda secret: ",".join(f"{k}={v}" for k, v in sorted((secret["Spec"].get("Labels") or {}).items())),
    ),
}


def _rm(ctx: Context, _values: Values, names: list[str]) -> int:
    def one(name: str) -> str:
        ctx.engine.call("DELETE", f"/lodge/secrets/{quote(name)}")
        return name

    return for_each(ctx, names, one)


CREATE = Command(
    "[OPTIONS] SECRET file|-",
    "Keep a secret from a file or from the standard input",
    _create,
    flags=(Flag("label", LABEL, "A label, as name=value", short="l"),),
    minimum=2,
    maximum=2,
)
LS = Command(
    "[OPTIONS]",
    "List secrets",
    _ls,
    flags=(
        Flag("format", STRING, "Print by a Go template, as json, or as a table of your own"),
        Flag("quiet", BOOL, "Print ids only", short="q"),
    ),
)
RM = Command("SECRET [SECRET...]", "Remove one or more secrets", _rm, minimum=1, maximum=ANY)
