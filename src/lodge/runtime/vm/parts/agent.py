"""The guest agent as a program: compiled once from the package's own sources, statically.

Kept by their hash.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from lodge.errors import Unavailable

SOURCES = Path(__file__).resolve().parent.parent / "agent"
_FLAGS = ("-std=gnu11", "-Os", "-static", "-s", "-Wall", "-Wextra", "-Wl,--build-id=none")
_PATIENCE = 120.0


def sources() -> list[Path]:
    """The C files, in the order in which they are compiled."""
    return sorted(SOURCES.glob("*.c"))


def build(cache: str) -> str:
    """The path of the agent for this machine's processor, compiled if it is not there.

    Unavailable names the packages that a compiler comes in, or shows what the compiler said.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Unavailable(
            "the agent of virtual machines has to be compiled, and there is no C compiler",
            hint="apt-get install gcc libc6-dev",
        )
    digest = hashlib.sha256()
    for path in (*sources(), SOURCES / "agent.h"):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    target = os.path.join(cache, f"agent-{digest.hexdigest()[:16]}")
    if not os.path.exists(target):
        os.makedirs(cache, exist_ok=True)
        staged = f"{target}.{os.getpid()}"
        _compile(compiler, staged)
        os.rename(staged, target)
    return target


def _compile(compiler: str, target: str) -> None:
    command = [compiler, *_FLAGS, "-o", target, *map(str, sources())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Unavailable(
            "the agent of virtual machines can't be compiled: " + " / ".join(said[:3]),
            hint="apt-get install gcc libc6-dev",
        )


def tsc_khz(agent: str) -> int:
    """How fast this processor's time stamp counter runs, measured; 0 where there is none."""
    done = subprocess.run([agent, "tsc"], capture_output=True, text=True, check=False, timeout=_PATIENCE)
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip().isdigit() else 0
