"""A machine's processes as `docker top` shows a container's: the columns of ps -ef. Pure.

The agent sends files of /proc as they are, which is hostile text: what makes no sense is left out.
"""

from __future__ import annotations

import time

_TICKS = 100
_MOST = 4096


def rows(text: bytes, now: float) -> list[list[str]]:
    """UID, PID, PPID, C, STIME, TTY, TIME, CMD of each process; ids are those of the machine."""
    found: list[list[str]] = []
    for part in text.decode("utf-8", "replace").split("== ")[1 : _MOST + 1]:
        head, _, rest = part.partition("\n")
        row = _row(head.strip(), rest, now)
        if row is not None:
            found.append(row)
    return found


def _row(pid: str, text: str, now: float) -> list[str] | None:
    stat, _, rest = text.partition("\n")
    fields = stat.rpartition(")")[2].split()
    numbers = [field for field in fields[1:] if field.lstrip("-").isdecimal()]
    if not pid.isdecimal() or len(numbers) != len(fields) - 1 or len(fields) < 20:
        return None
    name = stat.partition("(")[2].rpartition(")")[0]
    seconds = (int(fields[11]) + int(fields[12])) // _TICKS
    uid = next((line.split()[1] for line in rest.splitlines() if line.startswith("Uid:\t")), "0")
    command = rest.splitlines()[-1].strip() if rest.strip() else ""
    if not command or command.startswith("nonvoluntary_ctxt_switches"):
        command = f"[{name}]"
    terminal = "?" if fields[4] == "0" else f"pts/{int(fields[4]) & 0xFF}"
    started = time.strftime("%H:%M", time.localtime(now))
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return [_user(uid), pid, fields[1], "0", started, terminal, clock, command]


def _user(uid: str) -> str:
    return "root" if uid == "0" else uid
