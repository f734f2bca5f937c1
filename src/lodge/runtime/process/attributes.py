"""What a program inherits from its maker: priorities, domain, memory policy, CPU list, umask, limits.

`set_early` needs files of the host's /proc or nothing at all, so it runs first of all. Limits come late
(`set_limits`), for a small one would get in the way: set by the child itself, or by its keeper when the child
is in a user namespace, where nobody may raise one.
"""

from __future__ import annotations

import os
import resource

from lodge.errors import InvalidArgument, StartFailed
from lodge.kernel.process import ioprio_set, personality, sched_setattr, set_mempolicy
from lodge.spec.runtime import Linux, Process, Rlimit

# <asm-generic/resource.h>
RLIMITS = {
    f"RLIMIT_{name}": number
    for number, name in enumerate(
        (
            "CPU",
            "FSIZE",
            "DATA",
            "STACK",
            "CORE",
            "RSS",
            "NPROC",
            "NOFILE",
            "MEMLOCK",
            "AS",
            "LOCKS",
            "SIGPENDING",
            "MSGQUEUE",
            "NICE",
            "RTPRIO",
            "RTTIME",
        )
    )
}
_INFINITE = 1 << 63


def set_early(process: Process, linux: Linux) -> None:
    """Set all that does not depend on the container's files; in the child."""
    if process.oom_score_adj is not None:
        _write_oom_score(process.oom_score_adj)
    if process.exec_cpu_affinity is not None and process.exec_cpu_affinity.initial:
        os.sched_setaffinity(0, parse_list(process.exec_cpu_affinity.initial))
    if process.scheduler is not None:
        s = process.scheduler
        sched_setattr(
            s.policy,
            flags=s.flags,
            nice=s.nice,
            priority=s.priority,
            runtime=s.runtime,
            deadline=s.deadline,
            period=s.period,
        )
    if process.io_priority is not None:
        ioprio_set(process.io_priority.class_, process.io_priority.priority)
    if linux.personality is not None:
        personality(linux.personality.domain, linux.personality.flags)
    if linux.memory_policy is not None:
        policy = linux.memory_policy
        set_mempolicy(policy.mode, parse_list(policy.nodes), policy.flags)


def set_final_affinity(process: Process) -> None:
    """The CPU list for the time after the control group was entered, which may have set another."""
    if process.exec_cpu_affinity is not None and process.exec_cpu_affinity.final:
        os.sched_setaffinity(0, parse_list(process.exec_cpu_affinity.final))


def set_limits(pid: int, limits: list[Rlimit]) -> None:
    """prlimit(2) of a child, or of the caller for pid 0; StartFailed names the limit."""
    for limit in limits:
        values = (_value(limit.soft), _value(limit.hard))
        try:
            resource.prlimit(pid, RLIMITS[limit.type], values)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            message = f"error setting rlimit type {limit.type} to {limit.soft}:{limit.hard}: {reason}"
            raise StartFailed(message) from None


def check_process(process: Process) -> None:
    """InvalidArgument for words that no kernel knows, before anything is made."""
    seen = set()
    for limit in process.rlimits:
        if limit.type not in RLIMITS:
            raise InvalidArgument(f"rlimits: unknown limit {limit.type!r}")
        if limit.type in seen:
            raise InvalidArgument(f"rlimits: {limit.type} is given twice")
        seen.add(limit.type)
    if process.oom_score_adj is not None and not -1000 <= process.oom_score_adj <= 1000:
        raise InvalidArgument(f"oomScoreAdj: {process.oom_score_adj} is not in -1000..1000")
    if process.user.umask is not None and not 0 <= process.user.umask <= 0o7777:
        raise InvalidArgument(f"user.umask: {process.user.umask} is not in 0..4095")
    if process.exec_cpu_affinity is not None:
        for text in (process.exec_cpu_affinity.initial, process.exec_cpu_affinity.final):
            parse_list(text)


def parse_list(text: str) -> set[int]:
    """Numbers of a list such as "0-2,7"; InvalidArgument for one that is none."""
    numbers: set[int] = set()
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        first, dash, last = part.partition("-")
        good = part.isascii() and len(part) <= 12 and first.isdigit() and (last.isdigit() or not dash)
        if not good or int(last or first) - int(first) not in range(1 << 16):
            raise InvalidArgument(f"{text!r} is not a list of numbers")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def _value(number: int) -> int:
    return resource.RLIM_INFINITY if number >= _INFINITE or number < 0 else number


def _write_oom_score(score: int) -> None:
    """Only when it changes: lowering it takes CAP_SYS_RESOURCE, which not every host gives its engine."""
    fd = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    try:
        if int(os.read(fd, 16)) != score:
            os.write(fd, b"%d" % score)
    except PermissionError:
        raise StartFailed(f"oomScoreAdj: the host does not permit {score} to its engine") from None
    finally:
        os.close(fd)
