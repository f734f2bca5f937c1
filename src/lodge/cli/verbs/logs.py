"""`logs`: what a container wrote."""

from __future__ import annotations

import sys

from lodge.cli.command import Command
from lodge.cli.flags import BOOL, STRING, Flag
from lodge.cli.times import asked_moment
from lodge.client.attach import write_all
from lodge.client.engine import quote
from lodge.wire.frames import STDERR, SYSTEM_ERROR, Decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.command import Context
    from lodge.cli.flags import Values
    from lodge.client.http1 import Response


def _logs(ctx: Context, values: Values, arguments: list[str]) -> None:
    found = ctx.engine.call("GET", f"/containers/{quote(arguments[0])}/json")
    response = ctx.engine.open(
        "GET",
        f"/containers/{found['Id']}/logs",
        query={
            "stdout": True,
            "stderr": True,
            "follow": values["follow"],
            "timestamps": values["timestamps"],
            "details": values["details"],
            "tail": values["tail"],
            "since": asked_moment(values["since"]),
            "until": asked_moment(values["until"]),
        },
    )
    sys.stdout.flush()
    try:
        _copy(response, tty=bool(found["Config"].get("Tty")))
    finally:
        ctx.engine.release(response)


def _copy(response: Response, *, tty: bool) -> None:
    if tty:
        while data := response.read():
            write_all(1, data)
        return
    decoder = Decoder()
    while data := response.read():
        for stream, payload in decoder.feed(data):
            write_all(2 if stream in (STDERR, SYSTEM_ERROR) else 1, payload)
    decoder.close()


LOGS = Command(
    "[OPTIONS] CONTAINER",
    "Fetch the logs of a container",
    _logs,
    flags=(
        Flag("details", BOOL, "Show the attributes that the log keeps"),
        Flag("follow", BOOL, "Go on as it writes", short="f"),
        Flag("since", STRING, 'From then on: a moment, or a time back ("42m")'),
        Flag("tail", STRING, "Only the last lines", short="n", default="all"),
        Flag("timestamps", BOOL, "Put the time before each line", short="t"),
        Flag("until", STRING, 'Up to then: a moment, or a time back ("42m")'),
    ),
    minimum=1,
    maximum=1,
    complete="container",
)
