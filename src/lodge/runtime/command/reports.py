"""state, list, ps, events: what is, as JSON or as a table in runc's form."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Iterable, Sequence

import msgspec

from lodge.errors import Conflict, InvalidArgument, Unavailable
from lodge.kernel.cgroups import BlockDeviceFigure, CgroupStats
from lodge.runtime.command.container import Container, Context
from lodge.runtime.command.flags import flag, parse
from lodge.runtime.command.lifecycle import one_identity
from lodge.runtime.states import State
from lodge.spec.runtime import OCI_VERSION

_LIST = (
    flag("format f", "table or json", default="table"),
    flag("quiet q", "identities only", switch=True),
)
_PS = (flag("format f", "table or json", default="table"),)
_EVENTS = (
    flag("interval", "seconds between figures, as 5s", default="5s"),
    flag("stats", "one set of figures, then end", switch=True),
)
_NO_LIMIT = (1 << 63) - 4096


def state(context: Context, line: Sequence[str]) -> int:
    """Print the state of one container."""
    container = Container.find(context, one_identity(parse(line, ())))
    print(msgspec.json.format(msgspec.json.encode(_describe(container)), indent=2).decode())
    return 0


def list_(context: Context, line: Sequence[str]) -> int:
    """Print all containers."""
    flags = parse(line, _LIST)
    containers = [Container(context, record) for record in context.records.all()]
    if flags.on("quiet"):
        print("\n".join(container.record.id for container in containers))
    elif flags.text("format") == "json":
        print(msgspec.json.encode([_describe(container) for container in containers]).decode())
    elif flags.text("format") == "table":
        head = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")
        names = ("id", "pid", "status", "bundle", "created", "owner")
        rows = [tuple(str(_describe(container)[name]) for name in names) for container in containers]
        _print_table([head, *rows])
    else:
        raise InvalidArgument("invalid format option")
    return 0


def ps(context: Context, line: Sequence[str]) -> int:
    """Print which processes a container has, as pids or as a table."""
    flags = parse(line, _PS)
    if not flags.words:
        raise InvalidArgument("ps needs a container")
    container = Container.find(context, flags.words[0])
    pids = container.cgroup.pids()
    if flags.text("format") == "json":
        print(msgspec.json.encode(pids).decode())
        return 0
    if flags.text("format") != "table":
        raise InvalidArgument("invalid format option")
    text = subprocess.run(
        ["ps", *(flags.words[1:] or ["-ef"])], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    head, *lines = text.splitlines()
    columns = head.split()
    if "PID" not in columns:
        raise Unavailable("couldn't find PID field in ps output")
    place = columns.index("PID")
    wanted = {str(pid) for pid in pids}
    print("\n".join([head, *(row for row in lines if wanted & {*row.split()[place : place + 1]})]))
    return 0


def events(context: Context, line: Sequence[str]) -> int:
    """Print figures again and again, and when memory ran out; one set only with --stats."""
    flags = parse(line, _EVENTS)
    container = Container.find(context, one_identity(flags))
    if container.state() is State.STOPPED:
        raise Conflict(f"container with id {container.record.id} is not running")
    if flags.on("stats"):
        _print_event(container, "stats", _figures(container.cgroup.stats()))
        return 0
    _follow(container, _seconds(flags.text("interval")))
    return 0


def _follow(container: Container, interval: float) -> None:
    pidfd, memory = container.open_init(), container.cgroup.oom_event_fd()
    waiter = select.poll()
    waiter.register(pidfd, select.POLLIN)
    waiter.register(memory, select.POLLIN)
    kills = container.cgroup.oom_kills()
    due = time.monotonic()
    try:
        while True:
            ready = {fd for fd, _ in waiter.poll(max(0.0, due - time.monotonic()) * 1000)}
            if ready and container.cgroup.oom_kills() > kills:
                kills = container.cgroup.oom_kills()
                _print_event(container, "oom", None)
            if pidfd in ready:
                return
            if memory in ready:
                os.read(memory, 4096)
            if time.monotonic() >= due:
                _print_event(container, "stats", _figures(container.cgroup.stats()))
                due += interval
    finally:
        os.close(pidfd)
        os.close(memory)


def _describe(container: Container) -> dict[str, object]:
    record = container.record
    now = container.oci_state()
    return {
        "ociVersion": OCI_VERSION,
        "id": record.id,
        "pid": now.pid,
        "status": now.status,
        "bundle": record.bundle,
        "rootfs": record.rootfs,
        "created": record.created,
        "annotations": record.annotations,
        "owner": record.owner,
    }


def _figures(stats: CgroupStats) -> dict[str, object]:
    """The shape of runc's events, which is that of libcontainer's statistics."""
    memory, cpu, pids = stats.memory, stats.cpu, stats.pids
    return {
        "cpu": {
            "usage": {
                "total": cpu.total,
                "percpu": cpu.per_cpu,
                "kernel": cpu.system,
                "user": cpu.user,
            },
            "throttling": {
                "periods": cpu.periods,
                "throttledPeriods": cpu.throttled_periods,
                "throttledTime": cpu.throttled_time,
            },
        },
        "memory": {
            "cache": memory.stat.get("total_cache", memory.stat.get("file", 0)),
            "usage": {
                "limit": _NO_LIMIT if memory.limit is None else memory.limit,
                "usage": memory.usage,
                "max": memory.peak,
                "failcnt": memory.failures,
            },
            "raw": memory.stat,
        },
        "pids": {"current": pids.current, "limit": pids.limit or 0},
        "blkio": {
            "ioServiceBytesRecursive": _devices(stats.io_bytes),
            "ioServicedRecursive": _devices(stats.io_operations),
        },
    }


def _devices(figures: Iterable[BlockDeviceFigure]) -> object:
    return [
        {"major": f.major, "minor": f.minor, "op": f.operation.capitalize(), "value": f.value}
        for f in figures
    ]


def _print_event(container: Container, kind: str, data: dict[str, object] | None) -> None:
    event: dict[str, object] = {"type": kind, "id": container.record.id}
    if data is not None:
        event["data"] = data
    print(msgspec.json.encode(event).decode(), flush=True)


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _seconds(text: str) -> float:
    units = {"ms": 0.001, "s": 1.0, "m": 60.0}
    for unit, factor in units.items():
        number = text.removesuffix(unit)
        if number != text and number.replace(".", "", 1).isdigit() and float(number) > 0:
            return float(number) * factor
    raise InvalidArgument(f"invalid duration {text!r}: give seconds as 5s")
