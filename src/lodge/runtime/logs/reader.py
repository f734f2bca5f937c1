"""A container's log as it is read: over all rotated files, in bytes that are ready to be sent.

`read` never waits: at the end it gives b"", and where the log is followed it is called again when something
has changed (watch `directory`). It goes on across rotation, compression and truncation. A last entry that is
not whole yet, or never will be, is not shown.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from typing import Protocol

from lodge.errors import Corrupt, InvalidArgument
from lodge.runtime.logs import json_file, local
from lodge.runtime.logs.view import View
from lodge.runtime.messages import LogSpec

_BLOCK = 256 * 1024
# No entry is longer: what is, is rubbish and is dropped.
_LONGEST = 32 << 20
_GZIP = 31
# A writer that rotates without a pause must not keep a reader from ever beginning.
_ATTEMPTS = 20


class Decoder(Protocol):
    """A format, as it is read."""

    skip: int
    finished: bool

    def cut(self, buffer: bytes) -> int:
        """How many bytes at the beginning of `buffer` are whole entries."""

    def count(self, block: bytes) -> int:
        """How many lines a block of whole entries counts for `tail`."""

    def first_time(self, block: bytes) -> int | None:
        """The time of the first entry."""

    def render(self, block: bytes) -> bytes:
        """What is shown of a block of whole entries."""


_DECODERS: dict[str, Callable[[View], Decoder]] = {"json-file": json_file.Decoder, "local": local.Decoder}


class _File:
    """One file of the log, plain or compressed, read from its beginning."""

    def __init__(self, path: str, packed: bool) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        status = os.fstat(self._fd)
        self.identity = (status.st_dev, status.st_ino)
        self.packed = packed
        self.offset = 0
        self._unpacker = zlib.decompressobj(_GZIP) if packed else None

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return os.fstat(self._fd).st_size

    def read(self) -> bytes:
        """The next piece; b"" at the end. Corrupt for a broken compressed file."""
        if self._unpacker is None:
            data = os.pread(self._fd, _BLOCK, self.offset)
            self.offset += len(data)
            return data
        try:
            while not self._unpacker.eof:
                raw = self._unpacker.unconsumed_tail
                if not raw:
                    raw = os.pread(self._fd, _BLOCK, self.offset)
                    self.offset += len(raw)
                data = self._unpacker.decompress(raw, _BLOCK)
                if data or not raw:
                    return data
        except zlib.error as error:
            raise Corrupt(f"a compressed log file is broken: {error}") from error
        return b""

    def read_at(self, start: int, length: int) -> bytes:
        """Bytes of the file as it is on disk."""
        return os.pread(self._fd, length, start)

    def rewind(self) -> None:
        """Start again at the beginning."""
        self.offset = 0
        if self.packed:
            self._unpacker = zlib.decompressobj(_GZIP)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class LogReader:
    """One reading. Owns the open files; `close` it."""

    def __init__(self, spec: LogSpec, view: View, *, follow: bool = False) -> None:
        if spec.driver not in _DECODERS:
            raise InvalidArgument("configured logging driver does not support reading")
        self._spec = spec
        self._follow = follow
        self._decoder = _DECODERS[spec.driver](view)
        self._buffer = b""
        self._first_time: int | None = None
        self._files = self._open_files()
        if view.tail >= 0:
            self._seek_tail(view.tail)

    @property
    def directory(self) -> str:
        """Where files change while the log is written."""
        return os.path.dirname(self._spec.path)

    @property
    def finished(self) -> bool:
        """Whether all that can be wanted has been read, whatever is still written."""
        return self._decoder.finished

    def read(self) -> bytes:
        """The next bytes to send; b"" when there are none, or none yet."""
        if not self._files and self._follow:
            # Nothing had been written when this was opened.
            self._files = self._open_files()
        while self._files and not self.finished:
            data = self._files[0].read()
            if not data:
                if not self._advance():
                    break
                continue
            self._buffer = self._buffer + data if self._buffer else data
            end = self._decoder.cut(self._buffer)
            if not end:
                if len(self._buffer) > _LONGEST:
                    self._buffer = b""
                continue
            block = self._take(end)
            if self._first_time is None:
                self._first_time = self._decoder.first_time(block)
            shown = self._decoder.render(block)
            if shown:
                return shown
        return b""

    def _take(self, end: int) -> bytes:
        """The whole entries of the buffer; what follows them is cheaper to read again than to keep."""
        buffer, file = self._buffer, self._files[0]
        rest = len(buffer) - end
        if not rest:
            self._buffer = b""
            return buffer
        if file.packed:
            self._buffer = buffer[end:]
        else:
            self._buffer = b""
            file.offset -= rest
        return buffer[:end]

    def close(self) -> None:
        """Close the files; idempotent."""
        self._follow = False
        for file in self._files:
            file.close()
        self._files = []

    def _open_files(self) -> list[_File]:
        """All files, the oldest first: as they were at one moment, since they may be rotated meanwhile."""
        for _ in range(_ATTEMPTS):
            before = self._names()
            files = self._open_each()
            if self._names() == before:
                return files
            for file in files:
                file.close()
        return self._open_each()

    def _names(self) -> list[tuple[str, int]]:
        """The files' names and inodes: the same before and after says that nothing was rotated between."""
        prefix = os.path.basename(self._spec.path)
        try:
            with os.scandir(self.directory) as entries:
                return sorted((each.name, each.inode()) for each in entries if each.name.startswith(prefix))
        except FileNotFoundError:
            return []

    def _open_each(self) -> list[_File]:
        files: list[_File] = []
        for number in range(max(self._spec.max_files, 1) + 1):
            path = f"{self._spec.path}.{number}" if number else self._spec.path
            file = _open(path)
            # A number may be missing for the moment in which a rotation moves its file on.
            if file is not None:
                files.append(file)
        files.reverse()
        return files

    def _advance(self) -> bool:
        """At the end of a file: go on to the next; whether there may be more to read."""
        if len(self._files) > 1:
            self._leave_file()
            return True
        if not self._follow:
            return False
        file = self._files[0]
        try:
            status = os.stat(self._spec.path)
        except FileNotFoundError:
            return False
        if (status.st_dev, status.st_ino) == file.identity:
            if status.st_size >= file.offset:
                return False
            # Truncated: by a rotation that keeps one file, or by hand.
            file.rewind()
            self._buffer = b""
            return True
        if file.size > file.offset:
            # Written between our last look and the rotation.
            return True
        newer = self._newer_files(file)
        if not newer:
            return False
        self._leave_file()
        self._files = newer
        return True

    def _leave_file(self) -> None:
        self._files.pop(0).close()
        self._buffer = b""
        self._first_time = None

    def _newer_files(self, mine: _File) -> list[_File]:
        """The files after mine, the oldest first; known by the inode, or the time when compressed."""
        newer: list[_File] = []
        files = self._open_files()
        while files:
            file = files.pop()
            if file.identity == mine.identity or self._is_older(file):
                file.close()
                break
            newer.insert(0, file)
        for file in files:
            file.close()
        return newer

    def _is_older(self, file: _File) -> bool:
        buffer = b""
        first = None
        while first is None and len(buffer) < _LONGEST and (data := file.read()):
            buffer += data
            first = self._decoder.first_time(buffer[: self._decoder.cut(buffer)])
        file.rewind()
        return first is not None and self._first_time is not None and first <= self._first_time

    def _seek_tail(self, wanted: int) -> None:
        """Go to where the last `wanted` lines begin."""
        for index in range(len(self._files) - 1, -1, -1):
            file = self._files[index]
            if self._spec.driver == "json-file" and not file.packed:
                start, found = _lines_from_end(file, wanted)
                skip = 0
            else:
                found = self._count(file)
                start, skip = 0, max(0, found - wanted)
            if found >= wanted:
                for older in self._files[:index]:
                    older.close()
                del self._files[:index]
                file.offset = start
                self._decoder.skip = skip
                return
            wanted -= found

    def _count(self, file: _File) -> int:
        total = 0
        buffer = b""
        while data := file.read():
            buffer += data
            end = self._decoder.cut(buffer)
            total += self._decoder.count(buffer[:end])
            buffer = buffer[end:]
        file.rewind()
        return total


def _open(path: str) -> _File | None:
    """The file, or its compressed form; None when there is neither."""
    for name, packed in ((path, False), (f"{path}.gz", True)):
        try:
            return _File(name, packed)
        except FileNotFoundError:
            continue
    return None


def _lines_from_end(file: _File, wanted: int) -> tuple[int, int]:
    """Where the last `wanted` lines of a file begin, and how many there are (fewer at its beginning)."""
    found = 0
    end = file.size
    # The newline at the end of the last whole line ends it, and separates nothing.
    wanted += 1
    while end:
        start = max(0, end - _BLOCK)
        block = file.read_at(start, end - start)
        here = block.count(b"\n")
        if found + here >= wanted:
            place = len(block)
            for _ in range(wanted - found):
                place = block.rfind(b"\n", 0, place)
            return start + place + 1, wanted - 1
        found += here
        end = start
    return 0, found
