"""The states of a container in its runtime, and the one table that says how they follow each other.

`creating`, `created`, `running` and `stopped` are the runtime specification's (runtime.md, State); `paused`
is everybody's addition. Who keeps a container's state changes it through `after` alone.
"""

from __future__ import annotations

from enum import StrEnum

from lodge.errors import Conflict


class State(StrEnum):
    """Where a container is in its life."""

    CREATING = "creating"
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


class Event(StrEnum):
    """What can happen to it; the value is how people say it ("cannot start a container that ...")."""

    MADE = "finish creating"
    STARTED = "start"
    EXECUTED = "exec in"
    SIGNALLED = "signal"
    PAUSED = "pause"
    RESUMED = "resume"
    UPDATED = "update"
    ENDED = "end"
    DELETED = "delete"


# (state, event) -> the next state; None is the end of the life. What is not here is refused.
TABLE: dict[tuple[State, Event], State | None] = {
    (State.CREATING, Event.MADE): State.CREATED,
    (State.CREATING, Event.ENDED): State.STOPPED,
    (State.CREATED, Event.STARTED): State.RUNNING,
    (State.CREATED, Event.EXECUTED): State.CREATED,
    (State.CREATED, Event.SIGNALLED): State.CREATED,
    (State.CREATED, Event.UPDATED): State.CREATED,
    (State.CREATED, Event.ENDED): State.STOPPED,
    (State.RUNNING, Event.EXECUTED): State.RUNNING,
    (State.RUNNING, Event.SIGNALLED): State.RUNNING,
    (State.RUNNING, Event.PAUSED): State.PAUSED,
    (State.RUNNING, Event.UPDATED): State.RUNNING,
    (State.RUNNING, Event.ENDED): State.STOPPED,
    (State.PAUSED, Event.SIGNALLED): State.PAUSED,
    (State.PAUSED, Event.RESUMED): State.RUNNING,
    (State.PAUSED, Event.UPDATED): State.PAUSED,
    (State.PAUSED, Event.ENDED): State.STOPPED,
    (State.STOPPED, Event.ENDED): State.STOPPED,
    (State.STOPPED, Event.DELETED): None,
}


def after(state: State, event: Event) -> State | None:
    """The state that follows, None when the life is over; Conflict when the event is not for this state."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise Conflict(f"cannot {event} a container that is {state}") from None


def allows(state: State, event: Event) -> bool:
    """Whether the event is for this state."""
    return (state, event) in TABLE
