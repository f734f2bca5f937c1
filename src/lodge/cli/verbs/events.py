"""`events`: what happens in the engine, as it happens."""

from __future__ import annotations

import sys

from lodge.cli.command import Command
from lodge.cli.filters import encode_filters
from lodge.cli.flags import FILTER, STRING, Flag
from lodge.cli.times import asked_moment, rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodge.cli.command import Context
    from lodge.cli.flags import Values


def _events(ctx: Context, values: Values, _arguments: list[str]) -> None:
    query = {
        "since": asked_moment(values["since"]),
        "until": asked_moment(values["until"]),
        "filters": encode_filters(values["filter"]),
    }
    events = ctx.engine.stream_json("GET", "/events", query=query)
    if values["format"]:
        from lodge.cli.formatting import print_one

        for event in events:
            print_one(values["format"], event)
            sys.stdout.flush()
        return
    for event in events:
        ctx.out(describe(event))
        sys.stdout.flush()


def describe(event: dict[str, Any]) -> str:
    """One line: time, type, action, actor, attributes in order."""
    nano = event.get("timeNano") or event["time"] * 1_000_000_000
    when = rfc3339(nano // 1_000_000_000, f".{nano % 1_000_000_000:09d}")
    actor = event.get("Actor") or {}
    attributes = ", ".join(f"{key}={value}" for key, value in sorted((actor.get("Attributes") or {}).items()))
    tail = f" ({attributes})" if attributes else ""
    return f"{when} {event.get('Type', '')} {event.get('Action', '')} {actor.get('ID', '')}{tail}"


EVENTS = Command(
    "[OPTIONS]",
    "Get real time events from the engine",
    _events,
    flags=(
        Flag("filter", FILTER, "Show only those with name=value", short="f"),
        Flag("format", STRING, 'Print by a Go template, or "json"'),
        Flag("since", STRING, 'From then on: a moment, or a time back ("42m")'),
        Flag("until", STRING, 'Up to then: a moment, or a time back ("42m")'),
    ),
)
