"""Health: which command, and what a row of probes comes to."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from lodge.engine.census import Resident
from lodge.engine.containers.health import command_of, judge
from lodge.engine.containers.stopping import Stopper
from lodge.engine.containers.unhealthy import UnhealthyActor
from lodge.engine.models import Health, Probe
from lodge.spec.container import HealthCheck
from tests.unit.engine import samples


@pytest.mark.parametrize(
    ("test", "command"),
    [
        (None, None),
        ([], None),
        (["NONE"], None),
        (["CMD", "a", "b"], ["a", "b"]),
        (["CMD-SHELL", "a && b"], ["/bin/sh", "-c", "a && b"]),
    ],
)
def test_commands(test: list[str] | None, command: list[str] | None) -> None:
    assert command_of(HealthCheck(test=test), None) == command


def test_the_images_own_shell_is_used() -> None:
    assert command_of(HealthCheck(test=["CMD-SHELL", "x"]), ["/bin/ash", "-c"]) == ["/bin/ash", "-c", "x"]
    assert command_of(None, None) is None


def run(codes: list[int], *, starting: bool = False, retries: int = 3) -> Health:
    health = Health(log=[])
    for number, code in enumerate(codes):
        probe = Probe(start=number, end=number, exit_code=code, output="")
        judge(health, probe, retries=retries, starting=starting)
    return health


@pytest.mark.parametrize(
    ("codes", "status", "streak"),
    [
        ([0], "healthy", 0),
        ([1], "starting", 1),
        ([1, 1, 1], "unhealthy", 3),
        ([1, 1, 0], "healthy", 0),
        ([0, 1, 1], "healthy", 2),
        ([0, 1, 1, 1, 1], "unhealthy", 4),
        ([1, 1, 1, 0], "healthy", 0),
    ],
)
def test_judgement(codes: list[int], status: str, streak: int) -> None:
    health = run(codes)
    assert (health.status, health.failing_streak) == (status, streak)


def test_failures_within_the_start_period_do_not_count() -> None:
    assert run([1] * 5, starting=True).status == "starting"
    assert run([1] * 5 + [0], starting=True).status == "healthy"


def test_five_probes_are_kept() -> None:
    assert [probe.start for probe in run([0] * 8).log] == [3, 4, 5, 6, 7]


class Recorder:
    """Stands for the stopper: what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def restart(self, resident: Any, *, signal_name: str | None, timeout: int | None) -> None:
        self.asked.append("restart")

    async def stop(self, resident: Any, *, signal_name: str | None, timeout: int | None) -> None:
        self.asked.append("stop")

    async def kill_and_wait(self, resident: Any, *, by_hand: bool) -> None:
        self.asked.append("kill" if not by_hand else "kill by hand")


@pytest.mark.parametrize(
    ("annotations", "asked"),
    [
        (None, []),
        ({"io.lodge.health-on-failure": "none"}, []),
        ({"io.lodge.health-on-failure": "restart"}, ["restart"]),
        ({"io.lodge.health-on-failure": "stop"}, ["stop"]),
        ({"io.lodge.health-on-failure": "kill"}, ["kill"]),
    ],
)
def test_an_unhealthy_container_gets_what_its_annotation_says(
    annotations: dict[str, str] | None, asked: list[str]
) -> None:
    recorder = Recorder()
    resident = Resident(samples.container(host={"annotations": annotations}))

    async def act() -> None:
        UnhealthyActor(cast("Stopper", recorder)).act(resident)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(act())
    assert recorder.asked == asked
    assert resident.container.restart_count == asked.count("restart")
