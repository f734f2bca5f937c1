"""pause, resume, update: changing a container that runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec

from lodge.errors import InvalidArgument, Unsupported
from lodge.runtime.command.container import Container, Context
from lodge.runtime.command.flags import Parsed, flag, parse
from lodge.runtime.command.lifecycle import one_identity
from lodge.runtime.states import Event
from lodge.spec.runtime import BlockIo, Cpu, Memory, Pids, Resources

_UPDATE = (
    flag("resources r", "file with the resources as JSON, - for standard input"),
    flag("blkio-weight", "weight of block input and output, 10 to 1000"),
    flag("cpu-period", "microseconds"),
    flag("cpu-quota", "microseconds in each period"),
    flag("cpu-burst", "microseconds that may be saved up"),
    flag("cpu-share", "relative weight"),
    flag("cpu-rt-period", "microseconds"),
    flag("cpu-rt-runtime", "microseconds"),
    flag("cpu-idle", "1 for SCHED_IDLE"),
    flag("cpuset-cpus", "CPUs, as 0-3,7"),
    flag("cpuset-mems", "memory nodes"),
    flag("memory m", "bytes, or with a suffix; -1 for none"),
    flag("memory-reservation", "bytes that are kept when memory is scarce"),
    flag("memory-swap", "bytes of memory and swap"),
    flag("kernel-memory", "ignored: the kernel has no such limit any more"),
    flag("kernel-memory-tcp", "ignored likewise"),
    flag("pids-limit", "number of tasks, -1 for no limit"),
    flag("l3-cache-schema", "refused: no resctrl"),
    flag("mem-bw-schema", "refused: no resctrl"),
)
_SUFFIXES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def pause(context: Context, line: Sequence[str]) -> int:
    """Freeze."""
    container = Container.find(context, one_identity(parse(line, ())))
    container.require(Event.PAUSED)
    container.cgroup.freeze()
    return 0


def resume(context: Context, line: Sequence[str]) -> int:
    """Thaw."""
    container = Container.find(context, one_identity(parse(line, ())))
    container.require(Event.RESUMED)
    container.cgroup.thaw()
    return 0


def update(context: Context, line: Sequence[str]) -> int:
    """Change what is given, by a file or by flags."""
    flags = parse(line, _UPDATE)
    container = Container.find(context, one_identity(flags))
    container.require(Event.UPDATED)
    if flags.text("l3-cache-schema") or flags.text("mem-bw-schema"):
        raise Unsupported("update: this host has no resctrl")
    resources = _read(flags.text("resources")) if flags.text("resources") else _from_flags(flags)
    container.dwelling().update(resources)
    return 0


def _read(path: str) -> Resources:
    if path == "-":
        text = sys.stdin.buffer.read()
    else:
        with open(path, "rb") as file:
            text = file.read()
    try:
        return msgspec.json.decode(text, type=Resources)
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"resources: {error}") from None


def _from_flags(flags: Parsed) -> Resources:
    def number(name: str) -> int | None:
        return flags.number(name) if flags.text(name) else None

    cpu = Cpu(
        shares=number("cpu-share"),
        quota=number("cpu-quota"),
        period=number("cpu-period"),
        burst=number("cpu-burst"),
        realtime_period=number("cpu-rt-period"),
        realtime_runtime=number("cpu-rt-runtime"),
        idle=number("cpu-idle"),
        cpus=flags.text("cpuset-cpus"),
        mems=flags.text("cpuset-mems"),
    )
    memory = Memory(
        limit=_bytes(flags.text("memory")),
        reservation=_bytes(flags.text("memory-reservation")),
        swap=_bytes(flags.text("memory-swap")),
        check_before_update=True,
    )
    weight = number("blkio-weight")
    return Resources(
        cpu=cpu,
        memory=memory,
        pids=Pids(limit=number("pids-limit")) if flags.text("pids-limit") else None,
        block_io=BlockIo(weight=weight) if weight else None,
    )


def _bytes(text: str) -> int | None:
    if not text:
        return None
    digits = text.rstrip("bBkKmMgGtTiI")
    suffix = text[len(digits) :].lower().replace("ib", "").rstrip("b") if len(digits) < len(text) else ""
    try:
        return int(digits) * _SUFFIXES[suffix]
    except (ValueError, KeyError):
        raise InvalidArgument(f"invalid amount of memory {text!r}") from None
