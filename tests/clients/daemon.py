"""A lodged of its own for tests: private roots, socket and control group parent."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 20.0
PLUGINS = Path(os.environ.get("PEERS", "/tmp/peers")) / "plugins"
"""buildx and compose, where bench/peers.sh has brought them."""
CGROUP = f"lodge-test-{os.getpid()}"


class Lodged:
    """A daemon under test. Start it, use `docker`, stop it; `remove` leaves nothing behind."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.socket = str(root / "lodge.sock")
        self.log = root / "log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """What DOCKER_HOST wants."""
        return f"unix://{self.socket}"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.root / "config")}

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers."""
        self.root.mkdir(parents=True, exist_ok=True)
        plugins = self.root / "config" / "cli-plugins"
        if not plugins.is_symlink() and PLUGINS.is_dir():
            plugins.parent.mkdir(exist_ok=True)
            plugins.symlink_to(PLUGINS)
        command = [
            sys.executable, "-m", "lodge.daemon.main", "--config-file", "/dev/null", "-H", self.host,
            "--data-root", str(self.root / "data"), "--exec-root", str(self.root / "exec"),
            "--cgroup-parent", f"/{CGROUP}", "--group", str(os.getgid()), *options,
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"lodged did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.01)

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            try:
                client.connect(self.socket)
                client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return client.recv(15) == b"HTTP/1.1 200 OK"
            except OSError:
                return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the daemon, not its containers."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)
            self.process = None

    def docker(
        self, *words: str, input: str | bytes | None = None, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the docker command against it; a failure shows what both sides said."""
        data = input.encode() if isinstance(input, str) else input
        command = [str(docker_command()), *words]
        done = subprocess.run(
            command,
            input=data or b"",
            capture_output=True,
            env=self.environment,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            said = f"{done.stderr.decode()}\n{self.log.read_text()[-3000:]}"
            raise AssertionError(f"docker {' '.join(words)}: {done.returncode}\n{said}")
        return done

    def out(self, *words: str, input: str | bytes | None = None) -> str:
        """What the docker command writes, without the last line's end."""
        return self.docker(*words, input=input).stdout.decode().removesuffix("\n")

    def remove(self) -> None:
        """Remove all containers, stop, delete the roots."""
        with contextlib.suppress(AssertionError, OSError, subprocess.TimeoutExpired):
            if self.process is None:
                self.start()
            if ids := self.out("ps", "-aq").split():
                self.docker("rm", "-f", "-v", *ids, timeout=120)
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)
        for top in Path("/sys/fs/cgroup").glob(f"*/{CGROUP}"):
            with contextlib.suppress(OSError):  # another daemon of this run may still use it
                top.rmdir()


def docker_command() -> str | None:
    """The docker command to test with: LODGE_DOCKER, the host's, or the one of bench/peers.sh."""
    peers = "/tmp/peers/bin/docker"
    return (
        os.environ.get("LODGE_DOCKER") or shutil.which("docker") or (peers if os.path.exists(peers) else None)
    )
