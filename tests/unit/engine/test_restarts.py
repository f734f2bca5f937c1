"""Restart policies."""

from __future__ import annotations

import pytest

from lodge.engine.containers import restarts
from lodge.spec.container import RestartPolicy


@pytest.mark.parametrize(
    ("name", "most", "code", "by_hand", "count", "again"),
    [
        ("no", 0, 1, False, 0, False),
        ("", 0, 1, False, 0, False),
        ("always", 0, 0, False, 99, True),
        ("always", 0, 0, True, 0, False),
        ("unless-stopped", 0, 137, False, 0, True),
        ("unless-stopped", 0, 137, True, 0, False),
        ("on-failure", 0, 0, False, 0, False),
        ("on-failure", 0, 1, False, 99, True),
        ("on-failure", 3, 1, False, 2, True),
        ("on-failure", 3, 1, False, 3, False),
    ],
)
def test_wanted(name: str, most: int, code: int, by_hand: bool, count: int, again: bool) -> None:
    policy = RestartPolicy(name=name, maximum_retry_count=most)
    found = restarts.wanted(policy, exit_code=code, manually_stopped=by_hand, restarts=count)
    assert found is again


def test_waits_double_up_to_a_minute_and_begin_anew_after_a_long_run() -> None:
    waits = [0.0]
    for _ in range(12):
        waits.append(restarts.next_wait(waits[-1], ran_for=0.1))
    assert waits[1:5] == [0.1, 0.2, 0.4, 0.8]
    assert waits[-1] == 60.0
    assert restarts.next_wait(60.0, ran_for=10.0) == 0.1


@pytest.mark.parametrize(
    ("name", "alive", "by_hand", "start"),
    [
        ("always", False, True, True),
        ("always", True, False, True),
        ("unless-stopped", True, False, True),
        ("unless-stopped", False, True, False),
        ("on-failure", True, False, True),
        ("on-failure", False, False, False),
        ("no", True, False, False),
    ],
)
def test_when_the_engine_comes_up_again(name: str, alive: bool, by_hand: bool, start: bool) -> None:
    policy = RestartPolicy(name=name)
    found = restarts.wanted_after_restart_of_engine(policy, was_alive=alive, manually_stopped=by_hand)
    assert found is start
