"""Outputs that come back from the daemon: into a file, to standard output, or unpacked into a folder."""

from __future__ import annotations

import os
import subprocess
import sys

from lodge.cli.command import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from lodge.cli.building.options import OutputWish

    class Receiver(Protocol):
        """Takes an output's bytes."""

        def write(self, data: bytes) -> None:
            """The next bytes."""

        def close(self, *, complete: bool) -> None:
            """No more; what is not complete is not kept."""


class ToFile:
    """A file, which appears when it is complete."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._staged = f"{path}.{os.getpid()}.part"
        try:
            self._file = open(self._staged, "wb")
        except OSError as error:
            raise Failure(f"can't write {path}: {(error.strerror or '').lower()}") from error

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)

    def close(self, *, complete: bool) -> None:
        """Name it, or remove it."""
        self._file.close()
        if complete:
            os.rename(self._staged, self._path)
        else:
            os.unlink(self._staged)


class ToOutput:
    """Standard output."""

    def write(self, data: bytes) -> None:
        """Pass on."""
        sys.stdout.buffer.write(data)

    def close(self, *, complete: bool) -> None:
        """Nothing is left."""
        del complete
        sys.stdout.buffer.flush()


class ToFolder:
    """A folder: unpacked by this machine's tar, which keeps inside of it."""

    def __init__(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)
        words = ["tar", "-x", "-f", "-", "-C", path, "--no-same-owner"]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE)

    def write(self, data: bytes) -> None:
        """Pass on."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)

    def close(self, *, complete: bool) -> None:
        """Wait for tar."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._process.wait() and complete:
            raise Failure("the files could not be unpacked")


def receiver(wish: OutputWish) -> Receiver:
    """Where an output goes."""
    if wish.kind == "local":
        return ToFolder(wish.destination)
    if wish.destination in ("", "-"):
        if sys.stdout.isatty():
            raise Failure("cowardly refusing to write an archive to a terminal: give dest=PATH")
        return ToOutput()
    return ToFile(wish.destination)
