"""The plan of a recovery, as it is printed."""

from __future__ import annotations

from typing import Any, cast

import pytest

from lodge.engine import recover
from lodge.engine.recover import Finding
from lodge.runtime.messages import Exited
from tests.unit.engine.samples import container

ALIVE = Finding(link=cast(Any, object()))
ENDED = Finding(end=Exited(code=3, at_ns=1))
NOTHING = Finding()
ID = "c" * 64


@pytest.mark.parametrize(
    ("status", "policy", "finding", "printed"),
    [
        ("running", "no", ALIVE, ["meet again box (cccccccccccc): its monitor answers"]),
        ("paused", "always", ALIVE, ["meet again box (cccccccccccc): its monitor answers"]),
        ("created", "no", ALIVE, ["meet again box (cccccccccccc): its monitor answers"]),
        ("running", "no", ENDED, ["note the end of box (cccccccccccc): it ended meanwhile with code 3"]),
        ("running", "no", NOTHING, ["clean up after box (cccccccccccc): its monitor is gone without a word"]),
        ("running", "always", ENDED, ["note the end of box (cccccccccccc): it ended meanwhile with code 3"]),
        ("created", "no", ENDED, ["leave box (cccccccccccc): it is created"]),
        ("exited", "no", ENDED, ["leave box (cccccccccccc): it is exited"]),
        ("restarting", "on-failure", NOTHING, ["start box (cccccccccccc): its restart policy is on-failure"]),
        ("restarting", "no", NOTHING, ["note the end of box (cccccccccccc): it awaited a restart"]),
        ("created", "always", NOTHING, ["leave box (cccccccccccc): it is created"]),
        ("exited", "no", NOTHING, ["leave box (cccccccccccc): it is exited"]),
        (
            "removing",
            "always",
            NOTHING,
            ["finish the removal of box (cccccccccccc): its removal was under way"],
        ),
        ("dead", "no", NOTHING, ["finish the removal of box (cccccccccccc): its removal was under way"]),
    ],
)
def test_plans(status: str, policy: str, finding: Finding, printed: list[str]) -> None:
    one = container(status=status, host={})
    one.wish.host.restart_policy.name = policy
    assert [str(action) for action in recover.plan([one], {ID: finding})] == printed


def test_always_starts_what_was_stopped_by_hand_and_unless_stopped_does_not() -> None:
    for policy, steps in (("always", ["start"]), ("unless-stopped", ["leave"])):
        one = container(status="exited", manually_stopped=True, state={"started_at": 5})
        one.wish.host.restart_policy.name = policy
        assert [action.step for action in recover.plan([one], {})] == steps
