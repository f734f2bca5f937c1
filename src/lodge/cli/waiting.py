"""The end of a container as an exit code, also when the daemon is restarted while we wait."""

from __future__ import annotations

import time

from lodge.client.failures import Refused, RefusedNotFound, Unreachable
from lodge.client.lean_json import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.command import Context
    from lodge.client.http1 import Response

_PATIENCE = 30.0
"""Seconds in which a daemon that went away may come back."""


def finish_wait(ctx: Context, container: str, ending: Response) -> int:
    """The exit code that a begun wait (`ending`) brings; 125 with a line on stderr when it can't be had."""
    try:
        body = ending.read_all()
        ctx.engine.release(ending)
        answer = loads(body) if body.strip() else {}
    except (OSError, Unreachable):
        ending.stream.close()
        return _ask_again(ctx, container)
    if error := (answer.get("Error") or {}).get("Message"):
        ctx.err(f"lodge: error waiting for container: {error}")
        return 125
    return int(answer.get("StatusCode", 0))


def _ask_again(ctx: Context, container: str) -> int:
    """The daemon went away: the container lives on or has left its record; ask until somebody answers."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            answer = ctx.engine.call("POST", f"/containers/{container}/wait")
            return int(answer.get("StatusCode", 125))
        except RefusedNotFound:
            ctx.err("lodge: the daemon was restarted, the container is removed, its exit code is unknown")
            return 125
        except Refused as error:
            ctx.err(f"lodge: error waiting for container: {error.message}")
            return 125
        except Unreachable:
            time.sleep(0.1)
    ctx.err("lodge: the daemon went away and did not come back; the container may still be running")
    return 125
