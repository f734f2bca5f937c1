"""Processes and their memory, as the kernel accounts for it (proc(5): smaps_rollup; Pss is in kibibytes)."""

import os
import time
from collections.abc import Iterable
from pathlib import Path


def everything() -> dict[int, int]:
    """All processes with their parents."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = Path(f"/proc/{name}/stat").read_text()
        except OSError:
            continue
        parents[int(name)] = int(text.rpartition(")")[2].split()[1])
    return parents


def descendants(tops: Iterable[int]) -> set[int]:
    """These processes and all that descend from them."""
    parents = everything()
    found = {top for top in tops if top in parents}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return found
        found |= more


def pss(pids: Iterable[int]) -> float:
    """Proportional memory of processes together, in MB (10**6 bytes); one that is gone counts nothing."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


def settle(seconds: float = 1.0) -> None:
    """Give processes time to end what they are at, before memory is read."""
    time.sleep(seconds)
