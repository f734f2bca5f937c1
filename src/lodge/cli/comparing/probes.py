"""The small workloads by which the two dwellings are held against each other and against the host.

Each is a shell script that any image with a shell can run; its time is taken from outside, and what an exec
costs by itself is taken off. Pure: scripts and words.
"""

from __future__ import annotations


class Probe:
    """One workload: `amount` of `unit` are done by the script."""

    __slots__ = ("amount", "explanation", "name", "script", "unit")

    def __init__(self, name: str, script: str, amount: float, unit: str, explanation: str) -> None:
        self.name = name
        self.script = script
        self.amount = amount
        self.unit = unit
        self.explanation = explanation


PROBES = (
    Probe(
        "arithmetic",
        "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done",
        60.0,
        "thousand loops/s",
        "a shell counts: the processor alone",
    ),
    Probe(
        "memory",
        "dd if=/dev/zero of=/dev/null bs=4M count=256 2>/dev/null",
        1024.0,
        "MB/s",
        "four megabytes are filled again and again: the memory",
    ),
    Probe(
        "system calls",
        "dd if=/dev/zero of=/dev/null bs=1 count=150000 2>/dev/null",
        300.0,
        "thousand calls/s",
        "one byte at a time: the way into the kernel and back",
    ),
    Probe(
        "processes",
        "i=0; while [ $i -lt 60 ]; do /bin/true; i=$((i+1)); done",
        60.0,
        "processes/s",
        "fork, execute, wait",
    ),
    Probe(
        "file write",
        "dd if=/dev/zero of=/var/tmp/.lodge-compare bs=256k count=160 2>/dev/null",
        41.9,
        "MB/s",
        "forty megabytes into a new file",
    ),
    Probe(
        "file read",
        "dd if=/var/tmp/.lodge-compare of=/dev/null bs=256k 2>/dev/null",
        41.9,
        "MB/s",
        "the same file back",
    ),
)
PREPARE = "mkdir -p /var/tmp"
CLEAN_UP = "rm -f /var/tmp/.lodge-compare"

LOOK = (
    "uname -r; ls /dev | wc -l; grep CapEff /proc/self/status; grep 'Seccomp:' /proc/self/status;"
    " wc -l < /proc/mounts"
)
"""What an attacker in the dwelling finds, one answer a line."""
