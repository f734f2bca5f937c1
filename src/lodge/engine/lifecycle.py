"""The life of a container: one table says how its statuses follow each other; only `advance` writes them.

    created --started--> running --paused--> paused
       |                 |  ^  |                |
       |           ended |  |  | awaiting       | ended / awaiting
       |                 v  |  v                v
       |               exited  restarting <-----+
       |                  |       |
       +---- removing <---+-------+        removing --stuck--> dead --removing--> removing

`awaiting` is an end after which the restart policy starts the container again. A start that failed leaves the
status, and writes exit code and error; one that was made by the policy ends in exited. What the runtime does
meanwhile is its own business (`lodge.runtime.states`).
"""

from __future__ import annotations

from enum import StrEnum

from lodge.engine.models import ContainerState
from lodge.errors import Conflict


class Fact(StrEnum):
    """What happened to a container; the value is how people say it."""

    STARTED = "start"
    START_FAILED = "fail to start"
    PAUSED = "pause"
    RESUMED = "unpause"
    ENDED = "end"
    AWAITING = "await the restart of"
    REMOVING = "remove"
    STUCK = "fail to remove"


STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")

TABLE: dict[tuple[str, Fact], str] = {
    ("created", Fact.STARTED): "running",
    ("created", Fact.START_FAILED): "created",
    ("created", Fact.REMOVING): "removing",
    ("running", Fact.PAUSED): "paused",
    ("running", Fact.ENDED): "exited",
    ("running", Fact.AWAITING): "restarting",
    ("paused", Fact.RESUMED): "running",
    ("paused", Fact.ENDED): "exited",
    ("paused", Fact.AWAITING): "restarting",
    ("restarting", Fact.STARTED): "running",
    ("restarting", Fact.START_FAILED): "exited",
    ("restarting", Fact.ENDED): "exited",
    ("restarting", Fact.REMOVING): "removing",
    ("exited", Fact.STARTED): "running",
    ("exited", Fact.START_FAILED): "exited",
    ("exited", Fact.AWAITING): "restarting",
    ("exited", Fact.REMOVING): "removing",
    ("removing", Fact.STUCK): "dead",
    ("dead", Fact.REMOVING): "removing",
}


def allows(status: str, fact: Fact) -> bool:
    """Whether this can happen to a container of this status."""
    return (status, fact) in TABLE


def advance(
    state: ContainerState,
    fact: Fact,
    *,
    at: int = 0,
    pid: int = 0,
    exit_code: int = 0,
    error: str = "",
    oom_killed: bool = False,
) -> None:
    """Write what happened into `state`; Conflict when it can't happen to this status.

    `at` are nanoseconds since the epoch; the other arguments are for the facts that carry them.
    """
    follows = TABLE.get((state.status, fact))
    if follows is None:
        raise Conflict(f"cannot {fact} a container that is {state.status}")
    state.status = follows
    match fact:
        case Fact.STARTED:
            state.pid, state.started_at = pid, at
            state.exit_code, state.error, state.oom_killed = 0, "", False
        case Fact.START_FAILED:
            state.pid, state.exit_code, state.error = 0, exit_code, error
            if follows == "exited":
                state.finished_at = at
        case Fact.ENDED | Fact.AWAITING if at:
            state.pid, state.finished_at = 0, at
            state.exit_code, state.error, state.oom_killed = exit_code, error, oom_killed
        case _:
            pass
