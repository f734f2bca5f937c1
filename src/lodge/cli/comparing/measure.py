"""Running one image and one command in both dwellings, in turns, and taking the times.

Everything goes through the engine's API, as any client's would. Figures of the host's memory are read from
/proc where this command runs on the engine's own machine and may look; else they are left out.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from lodge.cli.comparing.probes import CLEAN_UP, LOOK, PREPARE, PROBES
from lodge.client.engine import EngineClient
from lodge.errors import LodgeError

APARTMENT, HOUSE = "container", "machine"
DWELLINGS = (APARTMENT, HOUSE)
_ISOLATION = {APARTMENT: "", HOUSE: "vm"}
_CHUNK = 65536
# The grain of /proc/uptime.
_TICK = 0.01

Say = Callable[[str], None]


class Comparison:
    """One comparison. `say` is told what happens; `result` is all that was found, ready for JSON."""

    def __init__(self, engine: EngineClient, image: str, command: Sequence[str], say: Say) -> None:
        self._engine = engine
        self._image = image
        self._command = list(command)
        self._say = say
        self.result: dict[str, Any] = {
            "image": image,
            "command": list(command),
            "host": {"kernel": os.uname().release},
            "runs": {name: [] for name in DWELLINGS},
            "probes": {name: {} for name in (*DWELLINGS, "host")},
            "facts": {name: {} for name in DWELLINGS},
        }

    def run(self, rounds: int, *, probes: bool) -> None:
        """Measure; the first run of each, which fills caches, is kept apart."""
        found: dict[str, Any] = self._engine.call("GET", "/lodge/vm")
        usable = [each["Name"] for each in found["Hypervisors"] if each["Usable"]]
        self.result["host"]["hypervisor"] = usable[0] if usable else ""
        for name in DWELLINGS:
            self._say(f"once, to fill caches: {name}")
            self.result["facts"][name]["first_run"] = self._once(name)
        for number in range(rounds):
            for name in DWELLINGS:
                self._say(f"round {number + 1} of {rounds}: {name}")
                self.result["runs"][name].append(self._once(name))
        if probes:
            for name in DWELLINGS:
                self._say(f"workloads: {name}")
                self._look_inside(name)
            self._say("workloads: the host itself")
            self._probe("host", self._on_host)

    # ---- one run, from the order to the end

    def _once(self, name: str) -> dict[str, float]:
        """Milliseconds from the beginning: when it was made, started, heard of first, and ended."""
        begun = time.monotonic()
        stages: dict[str, float] = {}

        def mark(stage: str) -> None:
            stages[stage] = (time.monotonic() - begun) * 1000

        identity = self._create(name, self._command)
        mark("created")
        try:
            query = {"stream": True, "stdout": True, "stderr": True}
            stream = self._engine.hijack(f"/containers/{identity}/attach", query=query)
            self._engine.call("POST", f"/containers/{identity}/start")
            mark("started")
            heard = bool(stream.pending)
            while data := os.read(stream.stream.fileno(), _CHUNK):
                if data and not heard:
                    mark("first_output")
                    heard = True
            mark("ended")
            stream.stream.close()
        finally:
            self._remove(identity)
        stages.setdefault("first_output", stages["ended"])
        return stages

    def _create(self, name: str, command: Sequence[str]) -> str:
        body: dict[str, Any] = {
            "Image": self._image,
            "Cmd": list(command) or None,
            "AttachStdout": True,
            "AttachStderr": True,
            "HostConfig": {"Isolation": _ISOLATION[name], "NetworkMode": "none"},
        }
        made: dict[str, Any] = self._engine.call("POST", "/containers/create", json=body)
        return str(made["Id"])

    def _remove(self, identity: str) -> None:
        self._engine.call("DELETE", f"/containers/{identity}", query={"force": True, "v": True})

    # ---- what one is like inside

    def _look_inside(self, name: str) -> None:
        facts = self.result["facts"][name]
        identity = self._create(name, ["sh", "-c", f"{PREPARE}; sleep 600"])
        try:
            self._engine.call("POST", f"/containers/{identity}/start")
            found: dict[str, Any] = self._engine.call(
                "GET", f"/containers/{identity}/json", query={"size": True}
            )
            facts["memory"] = host_memory(found["State"]["Pid"])
            facts["exec_ms"] = self._timed(lambda: self._exec(identity, ["true"]))
            facts["inside"] = inside(self._exec(identity, ["sh", "-c", LOOK]))
            self._probe(name, lambda script: self._exec(identity, ["sh", "-c", script]))
            sized: dict[str, Any] = self._engine.call(
                "GET", f"/containers/{identity}/json", query={"size": True}
            )
            facts["disk"] = sized.get("SizeRw") or 0
        except LodgeError as error:
            facts["trouble"] = error.message
        finally:
            self._remove(identity)

    def _exec(self, identity: str, command: Sequence[str]) -> str:
        body = {"AttachStdout": True, "AttachStderr": True, "Tty": True, "Cmd": list(command)}
        made: dict[str, Any] = self._engine.call("POST", f"/containers/{identity}/exec", json=body)
        stream = self._engine.hijack(f"/exec/{made['Id']}/start", json={"Detach": False, "Tty": True})
        text = bytes(stream.pending or b"")
        while data := os.read(stream.stream.fileno(), _CHUNK):
            text += data
        stream.stream.close()
        return text.decode(errors="replace")

    def _on_host(self, script: str) -> str:
        return subprocess.run(
            ["/bin/sh", "-c", script], capture_output=True, text=True, check=False, timeout=120
        ).stdout

    def _probe(self, name: str, run: Callable[[str], str]) -> None:
        """Each workload twice; the clock is read inside, so that the way there and back does not count."""
        for probe in PROBES:
            spans = [seconds(run(clocked(probe.script))) for _ in range(2)]
            taken = [span for span in spans if span is not None]
            if taken:
                self.result["probes"][name][probe.name] = probe.amount / max(min(taken), _TICK)
        run(CLEAN_UP)

    def _timed(self, act: Callable[[], object], *, best_of: int = 3) -> float:
        """The least of some times, in milliseconds."""
        times = []
        for _ in range(best_of):
            begun = time.monotonic()
            act()
            times.append((time.monotonic() - begun) * 1000)
        return min(times)


def clocked(script: str) -> str:
    """A script that says the time before and after: seconds since the kernel's start, in hundredths."""
    return f"read a _ < /proc/uptime; {script} || exit 1; read b _ < /proc/uptime; echo $a $b"


def seconds(said: str) -> float | None:
    """What a clocked script took; None when it failed."""
    words = said.split()
    try:
        return float(words[-1]) - float(words[-2])
    except (IndexError, ValueError):
        return None


def inside(text: str) -> dict[str, str]:
    """The answers to `LOOK` by name; what is missing is left out."""
    names = ("kernel", "devices", "capabilities", "filter", "mounts")
    lines = [line.split(":")[-1].strip() for line in text.splitlines()]
    return dict(zip(names, lines, strict=False))


def host_memory(pid: int) -> int | None:
    """The bytes that a container's processes on this host have for themselves; None when it can't be seen.

    Those of one parent belong together: program and execs, or hypervisor, porter and file server; the parent,
    the monitor, is counted too.
    """
    parent = _parent(pid)
    if parent is None:
        return None
    total = 0
    for name in os.listdir("/proc"):
        if name.isdecimal() and (int(name) == parent or _parent(int(name)) == parent):
            try:
                with open(f"/proc/{name}/smaps_rollup", encoding="ascii") as file:
                    total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
            except OSError:
                continue
    return total * 1024 or None


def _parent(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None
