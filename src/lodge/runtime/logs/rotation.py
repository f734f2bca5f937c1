"""A log file that is rotated by size: `path` is written, `path.1` is the one before, and so on.

With compression the older ones are `path.1.gz` and so on; a child process compresses, so that the program
that logs does not wait. A full disk is not an error here that stops anything: `write` says so and goes on
later.
"""

from __future__ import annotations

import os
import signal
import zlib
from typing import NoReturn

_MODE = 0o640
_BLOCK = 256 * 1024
_GZIP = 31
_NICE = 10


class RotatingFile:
    """The writing end. `max_size` -1 for a file that is never rotated; it is kept to at whole entries."""

    def __init__(self, path: str, *, max_size: int = -1, max_files: int = 1, compress: bool = False) -> None:
        self.path = path
        self._max_size = max_size
        self._max_files = max_files
        self._compress = compress
        self._compressor = 0
        self._fd = -1
        self._size = 0
        self.reopen()

    @property
    def room(self) -> int | None:
        """How many bytes fit before the file is rotated, None for any number."""
        return None if self._max_size < 0 else self._max_size - self._size

    def write(self, entries: bytes) -> None:
        """Append whole entries, all or nothing; OSError when they can't be kept (a full disk)."""
        written = 0
        try:
            while written < len(entries):
                written += os.write(self._fd, memoryview(entries)[written:] if written else entries)
        except OSError:
            if written:
                os.ftruncate(self._fd, self._size)
            raise
        self._size += written

    def rotate(self) -> None:
        """Start a new file; the oldest goes when there are too many."""
        self._await_compressor()
        if self._max_files == 1:
            os.ftruncate(self._fd, 0)
            self._size = 0
            return
        for ending in ("", ".gz"):
            _unlink(f"{self.path}.{self._max_files - 1}{ending}")
        for number in range(self._max_files - 2, 0, -1):
            for ending in ("", ".gz"):
                _rename(f"{self.path}.{number}{ending}", f"{self.path}.{number + 1}{ending}")
        _rename(self.path, f"{self.path}.1")
        os.close(self._fd)
        self._fd = -1
        self.reopen()
        if self._compress:
            self._start_compressor(f"{self.path}.1")

    def reopen(self) -> None:
        """Open the path, anew if it is open: somebody may have moved the file away."""
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._size = os.fstat(fd).st_size

    def close(self) -> None:
        """Close the file; idempotent. A compressor goes on by itself."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _await_compressor(self) -> None:
        """Files must not be renamed under the compressor's hands."""
        if self._compressor:
            try:
                os.waitpid(self._compressor, 0)
            except ChildProcessError:
                # Whoever looks after all children has collected it already.
                pass
            self._compressor = 0

    def _start_compressor(self, path: str) -> None:
        # SAFETY: a monitor has one thread; the child only reads and writes files and then leaves.
        pid = os.fork()
        if pid == 0:
            _compress_and_exit(path)
        self._compressor = pid


def _rename(source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except FileNotFoundError:
        pass


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _compress_and_exit(path: str) -> NoReturn:
    """In the child: replace a file by its compressed form, or leave it as it is where that fails."""
    temporary = f"{path}.gz.new"
    try:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.nice(_NICE)
        compress_file(path, temporary)
        os.rename(temporary, f"{path}.gz")
        os.unlink(path)
    except OSError:
        _unlink(temporary)
    finally:
        os._exit(0)


def compress_file(source: str, target: str) -> None:
    """Write a gzip file of another one."""
    packer = zlib.compressobj(level=1, wbits=_GZIP)
    with open(source, "rb", buffering=0) as plain, open(target, "wb", buffering=0) as packed:
        os.fchmod(packed.fileno(), _MODE)
        while block := plain.read(_BLOCK):
            _write_all(packed.fileno(), packer.compress(block))
        _write_all(packed.fileno(), packer.flush())


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
