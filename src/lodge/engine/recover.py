"""After the engine's own death: what lives, what ended meanwhile, what was lost; and what to do about each.

The plan is a list of values made by a pure function of rows and findings, printed before it is done. A
monitor that answers is met again; an exit record tells of an end; where neither is there the monitor was
killed.
"""

from __future__ import annotations

import os
import select
import signal
import time
from enum import StrEnum

from msgspec import Struct

from lodge.engine.containers.restarts import wanted_after_restart_of_engine
from lodge.engine.models import Container
from lodge.kernel.cgroups.detect import detect
from lodge.kernel.process.pidfd import pidfd_open, pidfd_send_signal
from lodge.runtime.exit_record import (
    MONITOR_SOCKET,
    ProcessIdentity,
    read_exit_record,
    read_monitor_record,
)
from lodge.runtime.link import MonitorLink
from lodge.runtime.messages import Exited

LOST = "the container's monitor was killed"
LOST_CODE = 137


class Step(StrEnum):
    """What is done for one container; the value is how it is printed."""

    MEET = "meet again"
    END = "note the end of"
    BURY = "clean up after"
    START = "start"
    REMOVE = "finish the removal of"
    LEAVE = "leave"


class Finding(Struct):
    """What was found of one container: a link to its monitor, or how it ended, or neither."""

    link: MonitorLink | None = None
    end: Exited | None = None


class Action(Struct, frozen=True):
    """One line of the plan."""

    step: Step
    id: str
    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.step.value} {self.name} ({self.id[:12]}): {self.why}"


def look(state_dir: str) -> Finding:
    """Find out about one container; its monitor's socket, its exit record."""
    try:
        return Finding(link=MonitorLink.connect(os.path.join(state_dir, MONITOR_SOCKET)))
    except OSError:
        pass
    record = read_exit_record(state_dir)
    if record is None:
        return Finding()
    return Finding(
        end=Exited(code=record.code, at_ns=record.at_ns, oom_killed=record.oom_killed, error=record.error)
    )


def plan(containers: list[Container], findings: dict[str, Finding]) -> list[Action]:
    """What to do for each container, in the order of their making."""
    return [action for each in containers for action in _actions(each, findings.get(each.id, Finding()))]


def _actions(container: Container, finding: Finding) -> list[Action]:
    def act(step: Step, why: str) -> Action:
        return Action(step=step, id=container.id, name=container.name, why=why)

    state = container.state
    if state.status in ("removing", "dead"):
        return [act(Step.REMOVE, "its removal was under way")]
    if finding.link is not None:
        return [act(Step.MEET, "its monitor answers")]
    if state.status in ("running", "paused"):
        # Whether it is started again is then up to its policy, as after every end.
        if finding.end is not None:
            return [act(Step.END, f"it ended meanwhile with code {finding.end.code}")]
        return [act(Step.BURY, "its monitor is gone without a word")]
    policy = container.wish.host.restart_policy
    awaits = state.status == "restarting"
    if (awaits or state.started_at) and wanted_after_restart_of_engine(
        policy, was_alive=awaits, manually_stopped=container.manually_stopped
    ):
        return [act(Step.START, f"its restart policy is {policy.name}")]
    if awaits:
        return [act(Step.END, "it awaited a restart")]
    return [act(Step.LEAVE, f"it is {state.status}")]


def bury(state_dir: str) -> Exited:
    """End what a killed monitor left, and say how the container ended.

    The monitor's record names the init with its start time, so that no stranger who took over the pid is hurt
    (hostile row 43).
    """
    record = read_exit_record(state_dir)
    if record is not None:
        return Exited(code=record.code, at_ns=record.at_ns, oom_killed=record.oom_killed, error=record.error)
    left = read_monitor_record(state_dir)
    if left is not None:
        if left.init is not None:
            _kill(left.init)
        _clear_group(left.cgroups_path)
    return Exited(code=LOST_CODE, at_ns=time.time_ns(), error=LOST)


def _kill(who: ProcessIdentity) -> None:
    try:
        fd = pidfd_open(who.pid)
    except OSError:
        return
    try:
        # The descriptor is open before the start time is compared: it can't change hands any more.
        if who.alive:
            pidfd_send_signal(fd, signal.SIGKILL)
            _wait_for_end(fd)
    except OSError:
        pass
    finally:
        os.close(fd)


def _wait_for_end(fd: int) -> None:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    poller.poll(5000)


def _clear_group(path: str) -> None:
    if not path:
        return
    group = detect().group(path)
    if group.exists():
        group.kill()
        group.remove()
