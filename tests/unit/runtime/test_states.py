"""Every state times every event."""

import itertools

import pytest

from lodge.errors import Conflict
from lodge.runtime.states import TABLE, Event, State, after, allows


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_state_and_event(state: State, event: Event) -> None:
    if (state, event) in TABLE:
        assert allows(state, event)
        assert after(state, event) is TABLE[state, event]
    else:
        assert not allows(state, event)
        with pytest.raises(Conflict, match=f"cannot {event} a container that is {state}"):
            after(state, event)


def test_each_state_can_end_and_be_reached() -> None:
    reached = {next_state for next_state in TABLE.values() if next_state is not None}
    assert reached | {State.CREATING} == set(State)
    assert all(allows(state, Event.ENDED) for state in State)


def test_only_a_stopped_container_can_be_deleted() -> None:
    assert [state for state in State if allows(state, Event.DELETED)] == [State.STOPPED]
    assert [pair for pair, following in TABLE.items() if following is None] == [
        (State.STOPPED, Event.DELETED)
    ]
