"""Rights: capabilities that are given up stay given up, through a change of user and an exec."""

import os
from pathlib import Path

import pytest

from lodge.kernel import capabilities as caps
from lodge.kernel import process
from tests.privileged.kernel.isolation import isolated

KILL = caps.mask(["CAP_KILL"])
SOME = caps.mask(["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW"])


def test_sets_are_made_smaller() -> None:
    def work() -> caps.Sets:
        caps.drop_bounding(SOME)
        caps.set_capabilities(KILL, SOME, KILL)
        caps.set_ambient(KILL)
        return caps.current()

    expected = caps.Sets(effective=KILL, permitted=SOME, inheritable=KILL, bounding=SOME, ambient=KILL)
    assert isolated(work) == str(expected)


def test_what_is_gone_does_not_come_back() -> None:
    def work() -> None:
        caps.set_capabilities(KILL, KILL, 0)
        with pytest.raises(PermissionError):
            caps.set_capabilities(SOME, SOME, 0)
        with pytest.raises(PermissionError):
            caps.set_ambient(caps.mask(["CAP_CHOWN"]))

    isolated(work)


def test_ambient_capabilities_survive_a_change_of_user_and_an_exec() -> None:
    def work() -> str:
        caps.drop_bounding(KILL)
        process.set_keepcaps(True)
        process.setgroups([])
        process.setresgid(1000, 1000, 1000)
        process.setresuid(1000, 1000, 1000)
        caps.set_capabilities(KILL, KILL, KILL)
        caps.set_ambient(KILL)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(write, 1)
            os.execv("/bin/cat", ["cat", "/proc/self/status"])
        os.close(write)
        with open(read) as file:
            status = file.read()
        os.waitpid(pid, 0)
        lines = [line for line in status.splitlines() if line.startswith(("Cap", "Uid"))]
        return "\n".join(lines)

    seen = isolated(work)
    assert "Uid:\t1000\t1000\t1000\t1000" in seen
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert f"{name}:\t{KILL:016x}" in seen


def test_memory_policy_is_set() -> None:
    def work() -> str:
        process.set_mempolicy("MPOL_BIND", [0], ["MPOL_F_STATIC_NODES"])
        return Path("/proc/self/numa_maps").read_text() if Path("/proc/self/numa_maps").exists() else "bind:0"

    try:
        seen = isolated(work)
    except AssertionError as failure:
        if "not implemented" in str(failure):
            pytest.skip("this kernel has no memory policies")
        raise
    assert "bind" in seen
