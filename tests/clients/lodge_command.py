"""The `lodge` command against a daemon under test, as a process of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from typing import Self

from tests.clients.daemon import Lodged

COMMAND = (sys.executable, "-m", "lodge")


def lodge(
    daemon: Lodged, *words: str, input: str | bytes | None = None, check: bool = True, timeout: float = 60
) -> subprocess.CompletedProcess[bytes]:
    """Run the command; a failure that was not expected shows what both sides said."""
    data = input.encode() if isinstance(input, str) else input
    done = subprocess.run(
        [*COMMAND, *words],
        input=data or b"",
        capture_output=True,
        env=daemon.environment,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode:
        said = f"{done.stderr.decode()}\n{daemon.log.read_text()[-3000:]}"
        raise AssertionError(f"lodge {' '.join(words)}: {done.returncode}\n{said}")
    return done


def out(daemon: Lodged, *words: str, input: str | bytes | None = None) -> str:
    """What the command writes, without the last line's end."""
    return lodge(daemon, *words, input=input).stdout.decode().removesuffix("\n")


class Terminal:
    """The command at a terminal of 20 rows and 70 columns."""

    def __init__(self, daemon: Lodged, *words: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 70, 0, 0))
        self.process = subprocess.Popen(
            [*COMMAND, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=daemon.environment,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    def read_until(self, text: bytes, patience: float = 20) -> bytes:
        seen = b""
        end = time.monotonic() + patience
        while text not in seen:
            if time.monotonic() > end:
                raise AssertionError(f"{text!r} is not in {seen!r}")
            if select.select([self.master], [], [], 0.1)[0]:
                seen += os.read(self.master, 4096)
        return seen

    def end(self) -> int:
        return self.process.wait(20)
