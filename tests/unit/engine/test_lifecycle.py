"""Every status with every fact: what follows, and that nothing else can."""

from __future__ import annotations

import itertools

import pytest

from lodge.engine.lifecycle import STATUSES, TABLE, Fact, advance, allows
from lodge.engine.models import ContainerState
from lodge.errors import Conflict


@pytest.mark.parametrize(("status", "fact"), list(itertools.product(STATUSES, Fact)))
def test_every_status_with_every_fact(status: str, fact: Fact) -> None:
    state = ContainerState(status=status)
    if (status, fact) in TABLE:
        assert allows(status, fact)
        advance(state, fact, at=5, pid=9, exit_code=3)
        assert state.status == TABLE[status, fact]
    else:
        assert not allows(status, fact)
        with pytest.raises(Conflict, match=f"cannot {fact} a container that is {status}"):
            advance(state, fact)
        assert state == ContainerState(status=status)


def test_the_table_knows_only_statuses_of_docker() -> None:
    assert {status for status, _ in TABLE} | set(TABLE.values()) == set(STATUSES)


def test_a_start_forgets_the_last_end() -> None:
    state = ContainerState(status="exited", exit_code=137, error="x", oom_killed=True, finished_at=4)
    advance(state, Fact.STARTED, at=10, pid=7)
    assert (state.pid, state.started_at, state.finished_at) == (7, 10, 4)
    assert (state.exit_code, state.error, state.oom_killed) == (0, "", False)


def test_an_end_is_written_with_all_that_belongs_to_it() -> None:
    state = ContainerState(status="running", pid=7, started_at=1)
    advance(state, Fact.ENDED, at=11, exit_code=137, oom_killed=True)
    expected = ContainerState(
        status="exited", exit_code=137, oom_killed=True, started_at=1, finished_at=11, pid=0
    )
    assert state == expected


def test_a_failed_first_start_leaves_it_created_with_the_reason() -> None:
    state = ContainerState()
    advance(state, Fact.START_FAILED, at=3, exit_code=127, error="not found")
    assert state == ContainerState(status="created", exit_code=127, error="not found")


def test_cancelling_a_restart_keeps_how_it_ended() -> None:
    state = ContainerState(status="restarting", exit_code=3, finished_at=8)
    advance(state, Fact.ENDED)
    assert (state.status, state.exit_code, state.finished_at) == ("exited", 3, 8)
