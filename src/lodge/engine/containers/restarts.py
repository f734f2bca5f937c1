"""Restart policies: whether a container that ended is started again, and after how long. Pure."""

from __future__ import annotations

from lodge.spec.container import RestartPolicy

FIRST_WAIT = 0.1
LONGEST_WAIT = 60.0
_RESET_AFTER = 10.0


def wanted(policy: RestartPolicy, *, exit_code: int, manually_stopped: bool, restarts: int) -> bool:
    """Whether it is started again; `restarts` are those that the policy made since the last start by hand."""
    if manually_stopped:
        return False
    match policy.name:
        case "always" | "unless-stopped":
            return True
        case "on-failure":
            most = policy.maximum_retry_count
            return exit_code != 0 and (most == 0 or restarts < most)
        case _:
            return False


def next_wait(last: float, ran_for: float) -> float:
    """Seconds until the next start: doubled each time, from the start again after a run of ten seconds."""
    if last == 0 or ran_for >= _RESET_AFTER:
        return FIRST_WAIT
    return min(LONGEST_WAIT, 2 * last)


def wanted_after_restart_of_engine(policy: RestartPolicy, *, was_alive: bool, manually_stopped: bool) -> bool:
    """Whether the engine starts it when it comes up itself: always does even what was stopped by hand."""
    match policy.name:
        case "always":
            return True
        case "unless-stopped":
            return not manually_stopped
        case "on-failure":
            return was_alive and not manually_stopped
        case _:
            return False
