"""A directory as a build's context: a tar stream of what .dockerignore leaves in it, owned by root."""

from __future__ import annotations

import os
import stat
import tarfile

from lodge.cli.command import Failure
from lodge.cli.copying.pack import describe, file_pieces
from lodge.wire.ignore import Patterns, read_ignore_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ALWAYS = ".dockerignore"


def read_text(path: str) -> str | None:
    """A file's text; None when it isn't there."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def ignored(directory: str, dockerfile: str) -> list[str]:
    """The patterns for a context: those of the Dockerfile's own list, else the context's."""
    for path in (f"{dockerfile}.dockerignore", os.path.join(directory, _ALWAYS)):
        text = read_text(path)
        if text is not None:
            return read_ignore_file(text)
    return []


class ContextPacker:
    """Packs one directory. `kept` are names that go along in any case; `added` are further files."""

    def __init__(
        self,
        directory: str,
        patterns: Sequence[str],
        *,
        kept: frozenset[str] = frozenset(),
        added: dict[str, bytes] | None = None,
    ) -> None:
        if not os.path.isdir(directory):
            raise Failure(f"unable to prepare context: path {directory!r} not found")
        self._directory = directory
        self._patterns = Patterns(patterns)
        self._kept = kept
        self._added = added or {}
        self._links: dict[tuple[int, int], str] = {}

    def pieces(self) -> Iterator[bytes]:
        """The stream. Failure for a file that can't be read."""
        for name, data in self._added.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            yield member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
            yield data + bytes(-len(data) % 512)
        yield from self._inside("")
        yield bytes(1024)

    def _inside(self, relative: str) -> Iterator[bytes]:
        path = os.path.join(self._directory, relative) if relative else self._directory
        try:
            names = sorted(os.listdir(path))
        except OSError as error:
            raise Failure(f"can't read {path}: {(error.strerror or '').lower()}") from error
        for name in names:
            inner = f"{relative}/{name}" if relative else name
            if inner not in self._added:
                yield from self._entry(inner)

    def _entry(self, relative: str) -> Iterator[bytes]:
        path = os.path.join(self._directory, relative)
        status = os.lstat(path)
        left_out = relative not in self._kept and self._patterns.excludes(relative)
        directory = stat.S_ISDIR(status.st_mode)
        if left_out:
            if directory and self._patterns.has_exceptions:
                yield from self._inside(relative)
            return
        member = describe(path, relative, status)
        if member is None:
            return  # a socket: tar has no word for it
        member.uid = member.gid = 0
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            first = self._links.setdefault((status.st_dev, status.st_ino), relative)
            if first != relative:
                member.type, member.linkname, member.size = tarfile.LNKTYPE, first, 0
        yield member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if member.isreg():
            yield from file_pieces(path, member.size)
        elif directory:
            yield from self._inside(relative)
