"""Engines with networks, each in a network namespace of its own, so that neither meets the host's rules.

The engines of `subjects` have none: Docker's would change the host's firewall.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.processes import everything
from bench.subjects import PEERS, SCRIPT, Engine, lodge

NAME = "bench-net"


@dataclass
class Town:
    """An engine and the process that holds its network namespace."""

    engine: Engine
    holder: int

    def inside(self, *words: str, pid: int = 0) -> list[str]:
        """A command in the host's place, or in a container's network by the pid of its program."""
        return ["nsenter", f"--net=/proc/{pid or self.holder}/ns/net", *words]


@contextlib.contextmanager
def _namespace() -> Iterator[int]:
    """The pid of a process that holds a new network namespace, loopback up."""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up; echo; exec sleep infinity"],
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            yield holder.pid
        finally:
            holder.kill()


@contextlib.contextmanager
def docker_town() -> Iterator[Town]:
    """Docker Engine with its bridge and its rules."""
    with _namespace() as holder:
        environment = {**os.environ, "PEERS_NAME": NAME}
        start = [str(SCRIPT), "start", "--live-restore", "--bridge=", "--iptables=true", "--ip6tables=true"]
        before = set(everything())
        enter = ["nsenter", f"--net=/proc/{holder}/ns/net"]
        subprocess.run([*enter, *start], check=True, env=environment, stderr=subprocess.DEVNULL)
        home = PEERS / NAME
        host = {**os.environ, "DOCKER_HOST": f"unix://{home / 'docker.sock'}"}
        command = [str(PEERS / "bin" / "docker")]
        pid = int((home / "docker.pid").read_text())
        try:
            yield Town(Engine("docker", home / "docker.sock", pid, command, host, before), holder)
        finally:
            subprocess.run([SCRIPT, "stop"], check=False, env=environment, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def lodge_town(scratch: Path) -> Iterator[Town]:
    """Lodge: its daemon is started by a program that enters the namespace first."""
    with _namespace() as holder:
        root = Path(tempfile.mkdtemp(prefix="town-", dir=scratch))
        program = root / "lodged"
        lodged = Path(sys.executable).parent / "lodged"
        program.write_text(f'#!/bin/sh\nexec nsenter --net=/proc/{holder}/ns/net {lodged} "$@"\n')
        program.chmod(0o755)
        with lodge(root / "engine", program=program) as engine:
            yield Town(engine, holder)


@contextlib.contextmanager
def towns(scratch: Path, wanted: set[str]) -> Iterator[dict[str, Town]]:
    """Those that are wanted, Docker first."""
    with contextlib.ExitStack() as stack:
        found: dict[str, Town] = {}
        if "docker" in wanted:
            found["docker"] = stack.enter_context(docker_town())
        if "lodge" in wanted:
            found["lodge"] = stack.enter_context(lodge_town(scratch))
        yield found


def has(program: str) -> bool:
    """Whether a program of the host is there (iperf3)."""
    return shutil.which(program) is not None


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server of a measurement."""
    process.send_signal(signal.SIGTERM)
    process.wait(10)
