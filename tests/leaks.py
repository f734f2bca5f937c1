"""The left-over check: a test run must leave the machine as it found it.

A pytest plugin (`-p tests.leaks`). It photographs the machine before the first test and after the last one,
and fails the run with the differences: mounts, cgroups of every hierarchy, network links and namespaces,
firewall rules, processes, and files under the engine's directories.

LODGE_LEAKS says how much counts as ours:
  own  (default) processes that carry this run's mark in their environment, or descend from one that does, and
       what has this run's process id or pytest's temporary folder in its name; the rest is only reported,
       since other work may be going on on the same machine
  all  everything (continuous integration, `make test`)
  off  nothing
"""

import os
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MARK = "LODGE_TEST_RUN"
PATIENCE = 10.0
"""Seconds that asynchronous clean-up (a trash thread, a dying shim) has before it counts as a left-over;
LODGE_LEAKS_PATIENCE says another number."""

SHOWN = 40
"""Lines of a kind that are shown."""

DIRECTORIES = ("/run/lodge", "/var/lib/lodge", "/run/netns", "/var/run/netns")
NFT = ("nft", "list", "ruleset")
IPTABLES = ("iptables-save",)
OF_MODULES = ("ifb0", "ifb1")
"""Links that the kernel makes by itself when it loads a module, at the first use of a kind."""
COUNTERS = re.compile(r"\[?[0-9]+:[0-9]+\]?|packets [0-9]+ bytes [0-9]+")
"""What changes in a listing of rules by itself."""


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        yield f"mount {fields[4]} ({line.partition(' - ')[2].split(' ')[0]})"


def _cgroups() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if line.partition(" - ")[2].startswith("cgroup"):
            top = line.split(" ")[4]
            for directory, _, _ in os.walk(top):
                yield f"cgroup {directory}"


def _links() -> Iterator[str]:
    for name in os.listdir("/sys/class/net"):
        if name not in OF_MODULES:
            yield f"network link {name}"


def _rules() -> Iterator[str]:
    for command in (NFT, IPTABLES):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        except FileNotFoundError:
            continue
        for line in done.stdout.splitlines():
            if not line.startswith("#"):
                yield f"{command[0]} rule {COUNTERS.sub('', line)}"


def _files() -> Iterator[str]:
    for top in DIRECTORIES:
        for directory, folders, files in os.walk(top):
            for name in (*folders, *files):
                yield f"file {directory}/{name}"


def _stat(pid: str) -> tuple[str, str, str]:
    """Parent, start time and name of a process: together they tell it from a later one of the same id."""
    text = Path(f"/proc/{pid}/stat").read_text()
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return fields[1], fields[19], name


def _processes(mark: str) -> Iterator[str]:
    """Processes of this run: those that inherited its mark, and all their descendants.

    A container's program has an environment of its own; its monitor, which was started by us, has the mark.
    """
    parents: dict[str, str] = {}
    names: dict[str, str] = {}
    marked: set[str] = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent, started, name = _stat(pid)
            command = (
                Path(f"/proc/{pid}/cmdline")
                .read_bytes()
                .replace(b"\0", b" ")
                .decode(errors="replace")
                .strip()
            )
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        parents[pid] = parent
        names[pid] = f"process {pid} (started {started}) {command or name}"
        if f"{MARK}={mark}".encode() in environment.split(b"\0"):
            marked.add(pid)
    ours = {str(os.getpid())}
    for pid in parents:
        walk = pid
        while walk in parents and walk not in marked:
            walk = parents[walk]
        if walk in marked and pid not in ours:
            yield names[pid]


def photograph(mark: str) -> dict[str, set[str]]:
    """What there is on this machine that a test could have left, by kind."""
    kinds: dict[str, Callable[[], Iterator[str]]] = {
        "mounts": _mounts,
        "cgroups": _cgroups,
        "links": _links,
        "rules": _rules,
        "files": _files,
        "processes": lambda: _processes(mark),
    }
    return {kind: set(look()) for kind, look in kinds.items()}


def left_over(
    before: dict[str, set[str]], mark: str, patience: float, counts: Callable[[str, str], bool]
) -> dict[str, list[str]]:
    """What is there now and was not before, after at most `patience` seconds of waiting for what counts."""
    deadline = time.monotonic() + patience
    while True:
        now = photograph(mark)
        more = {kind: sorted(now[kind] - before[kind]) for kind in now if now[kind] - before[kind]}
        ours = any(counts(kind, thing) for kind, things in more.items() for thing in things)
        if not ours or time.monotonic() > deadline:
            return more
        time.sleep(0.1)


class LeakCheck:
    """Photographs before the first test, compares after the last, and turns left-overs into a failed run."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        # A mark given from outside is in the environment of pytest itself too, hence in that of its forks.
        self.mark = os.environ.get(MARK) or uuid.uuid4().hex
        self.before: dict[str, set[str]] = {}
        self.found: dict[str, list[str]] = {}

    def counts(self, kind: str, thing: str) -> bool:
        """Whether this left-over fails the run."""
        named = f"-test-{os.getpid()}" in thing or "/pytest-of-" in thing
        return self.scope == "all" or kind == "processes" or named

    def pytest_sessionstart(self) -> None:
        os.environ[MARK] = self.mark
        self.before = photograph(self.mark)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        patience = float(os.environ.get("LODGE_LEAKS_PATIENCE", PATIENCE))
        self.found = left_over(self.before, self.mark, patience, self.counts)
        ours = any(self.counts(kind, thing) for kind, things in self.found.items() for thing in things)
        if ours and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for kind, things in self.found.items():
            ours = [thing for thing in things if self.counts(kind, thing)]
            others = [thing for thing in things if not self.counts(kind, thing)]
            _tell(terminalreporter, f"{kind} left over", ours, red=True)
            _tell(
                terminalreporter,
                f"new {kind} on this machine (perhaps not of these tests)",
                others,
                yellow=True,
            )


def _tell(reporter: pytest.TerminalReporter, title: str, things: list[str], **colour: bool) -> None:
    if not things:
        return
    reporter.section(title, **colour)
    for thing in things[:SHOWN]:
        reporter.write_line(thing)
    if len(things) > SHOWN:
        reporter.write_line(f"... and {len(things) - SHOWN} more")


def pytest_configure(config: pytest.Config) -> None:
    """Registers the check unless LODGE_LEAKS switches it off."""
    scope = os.environ.get("LODGE_LEAKS", "own")
    if scope not in {"own", "all", "off"}:
        raise pytest.UsageError(f"LODGE_LEAKS={scope}: expected own, all or off")
    if scope != "off":
        config.pluginmanager.register(LeakCheck(scope), "lodge-leaks")
