"""`stats`: what containers use, as a table that is drawn again every half second on a terminal.

One connection a container; all of them are read by one poll loop.
"""

from __future__ import annotations

import select
import sys
import time

from lodge.cli.command import ANY, Command
from lodge.cli.flags import BOOL, STRING, Flag
from lodge.cli.human import size_binary, size_short
from lodge.client.engine import EngineClient, quote
from lodge.client.failures import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lodge.cli.command import Context
    from lodge.cli.flags import Values

_REDRAW = 0.5
_DEFAULT = ("Container", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")


def _stats(ctx: Context, values: Values, names: list[str]) -> int:
    layout = values["format"] or ctx.config().get("statsFormat") or ""
    if values["no-stream"]:
        samples, failed = _sample_once(ctx, values, names)
        if not failed:
            _print(layout, samples, truncate=not values["no-trunc"])
        return failed
    return _watch(ctx, values, names, layout)


def _targets(ctx: Context, values: Values, names: list[str]) -> list[str]:
    if names:
        return names
    items = ctx.engine.call("GET", "/containers/json", query={"all": values["all"]})
    return [str(item["Id"]) for item in items]


def _sample_once(ctx: Context, values: Values, names: list[str]) -> tuple[list[dict[str, Any]], int]:
    samples, failed = [], 0
    for name in _targets(ctx, values, names):
        try:
            sample = ctx.engine.call("GET", f"/containers/{quote(name)}/stats", query={"stream": "0"})
        except Refused as error:
            ctx.err(f"Error response from daemon: {error.message}")
            failed = 1
            continue
        samples.append({**sample, "Container": name})
    return samples, failed


class _Feed:
    """The stream of one container's samples; `sample` is the newest one."""

    def __init__(self, ctx: Context, name: str) -> None:
        self.name = name
        self.sample: dict[str, Any] | None = None
        response = EngineClient(ctx.address).open(
            "GET", f"/containers/{quote(name)}/stats", query={"stream": "1"}
        )
        self._response = response
        self._rest = b""
        self.ended = False
        if self._response.pending:
            self.take()

    def fileno(self) -> int:
        """The descriptor to poll on."""
        return self._response.stream.fileno()

    def take(self) -> None:
        """Read what has arrived, also what came together with the answer's head."""
        from lodge.client.lean_json import loads

        data = self._response.read()
        while self._response.pending and not self._response.done:
            data += self._response.read()
        self.ended = self._response.done
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines and lines[-1].strip():
            self.sample = {**loads(lines[-1]), "Container": self.name}

    def close(self) -> None:
        """Hang up."""
        self._response.stream.close()


def _watch(ctx: Context, values: Values, names: list[str], layout: str) -> int:
    feeds = {name: _Feed(ctx, name) for name in _targets(ctx, values, names)}
    follow_all = not names
    live = sys.stdout.isatty()
    looked = drawn = time.monotonic()
    try:
        while feeds or follow_all:
            _read(list(feeds.values()), _REDRAW)
            now = time.monotonic()
            if follow_all and now - looked >= 1.0:
                looked = now
                _follow(ctx, values, feeds)
            if now - drawn >= _REDRAW:
                drawn = now
                _draw(layout, feeds, values, live=live)
            for name in [name for name, feed in feeds.items() if feed.ended]:
                feeds.pop(name).close()
    except KeyboardInterrupt:
        return 0
    finally:
        for feed in feeds.values():
            feed.close()
    return 0


def _read(feeds: list[_Feed], patience: float) -> None:
    poll = select.poll()
    by_descriptor = {feed.fileno(): feed for feed in feeds}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    for descriptor, _ in poll.poll(patience * 1000):
        by_descriptor[descriptor].take()


def _follow(ctx: Context, values: Values, feeds: dict[str, _Feed]) -> None:
    """Containers that were started meanwhile join the table, those that are gone leave it."""
    present = set(_targets(ctx, values, []))
    for name in present - feeds.keys():
        try:
            feeds[name] = _Feed(ctx, name)
        except Refused:
            continue  # it has gone in the meantime
    for name in feeds.keys() - present:
        feeds.pop(name).close()


def _draw(layout: str, feeds: dict[str, _Feed], values: Values, *, live: bool) -> None:
    samples = [feed.sample for feed in feeds.values() if feed.sample]
    if live:
        sys.stdout.write("\x1b[H\x1b[J")
    _print(layout, samples, truncate=not values["no-trunc"])
    sys.stdout.flush()


def _print(layout: str, samples: list[dict[str, Any]], *, truncate: bool) -> None:
    from lodge.cli.formatting import print_list

    print_list(layout, samples, columns(truncate), _DEFAULT)


def columns(truncate: bool) -> dict[str, tuple[str, Callable[[Any], Any]]]:
    """Everything that a template may ask of a sample."""

    def identifier(sample: dict[str, Any]) -> str:
        name = str(sample.get("id") or sample["Container"])
        return name[:12] if truncate else name

    def container(sample: dict[str, Any]) -> str:
        name = str(sample["Container"])
        return name[:12] if truncate and len(name) == 64 else name

    return {
        "BlockIO": (
            "BLOCK I/O",
            lambda sample: " / ".join(size_short(count) for count in block_bytes(sample)),
        ),
        "CPUPerc": ("CPU %", lambda sample: f"{cpu_percent(sample):.2f}%"),
        "Container": ("CONTAINER ID", container),
        "ID": ("CONTAINER ID", identifier),
        "MemPerc": ("MEM %", lambda sample: f"{_memory_percent(sample):.2f}%"),
        "MemUsage": ("MEM USAGE / LIMIT", lambda sample: _pair(memory(sample), size_binary)),
        "Name": ("NAME", lambda sample: str(sample.get("name") or "--").removeprefix("/")),
        "NetIO": ("NET I/O", lambda sample: _pair(network_bytes(sample), size_short)),
        "PIDs": ("PIDS", lambda sample: str((sample.get("pids_stats") or {}).get("current", 0))),
    }


def _pair(counts: tuple[int, int], show: Callable[[float], str]) -> str:
    return f"{show(counts[0])} / {show(counts[1])}"


def cpu_percent(sample: dict[str, Any]) -> float:
    """CPU time since the sample before, in per cent of one CPU."""
    now, before = sample.get("cpu_stats") or {}, sample.get("precpu_stats") or {}
    used = (now.get("cpu_usage") or {}).get("total_usage", 0) - (before.get("cpu_usage") or {}).get(
        "total_usage", 0
    )
    system = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    count = now.get("online_cpus") or len((now.get("cpu_usage") or {}).get("percpu_usage") or ()) or 1
    return used / system * count * 100.0 if system > 0 and used > 0 else 0.0


def memory(sample: dict[str, Any]) -> tuple[int, int]:
    """Bytes in use without the cache that the kernel can take back, and the limit."""
    stats = sample.get("memory_stats") or {}
    used, details = stats.get("usage", 0), stats.get("stats") or {}
    for key in ("total_inactive_file", "inactive_file"):  # cgroup v1, v2
        if key in details and details[key] < used:
            return used - details[key], stats.get("limit", 0)
    return used, stats.get("limit", 0)


def _memory_percent(sample: dict[str, Any]) -> float:
    used, limit = memory(sample)
    return used / limit * 100.0 if limit else 0.0


def network_bytes(sample: dict[str, Any]) -> tuple[int, int]:
    """Bytes received and sent on all networks."""
    networks = (sample.get("networks") or {}).values()
    return sum(net["rx_bytes"] for net in networks), sum(net["tx_bytes"] for net in networks)


def block_bytes(sample: dict[str, Any]) -> tuple[int, int]:
    """Bytes read from and written to block devices."""
    entries = (sample.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    totals = {"r": 0, "w": 0}
    for entry in entries:
        first = entry["op"][:1].lower()
        if first in totals:
            totals[first] += entry["value"]
    return totals["r"], totals["w"]


STATS = Command(
    "[OPTIONS] [CONTAINER...]",
    "Display a live stream of what containers use",
    _stats,
    flags=(
        Flag("all", BOOL, "Show all, not only those that run", short="a"),
        Flag("format", STRING, "Print by a Go template, as json, or as a table of your own"),
        Flag("no-stream", BOOL, "Print one sample and end"),
        Flag("no-trunc", BOOL, "Do not shorten anything"),
    ),
    maximum=ANY,
    complete="container",
)
