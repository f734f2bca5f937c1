"""Contexts of a build: a directory of this machine, or an archive that is unpacked into one."""

from __future__ import annotations

import os

from lodge.archive.compression import inflate
from lodge.archive.extract import Options, extract
from lodge.archive.source import Readable, Source
from lodge.build.contract import Wanted
from lodge.engine.bridge import Bridge
from lodge.engine.build.fetching import Fetcher
from lodge.engine.build.scratch import Scratch
from lodge.errors import Corrupt, Exhausted, InvalidArgument
from lodge.kernel.paths import open_in_root

_MOST = 1 << 40
_LARGEST_TEXT = 2 << 20


class DirectoryContext:
    """A directory as it is; `own` is where it was made for this build. Fulfils build.contract.Context."""

    def __init__(
        self, bridge: Bridge, directory: str, *, own: Scratch | None = None, fetcher: Fetcher | None = None
    ) -> None:
        self._bridge = bridge
        self.directory = directory
        self._own = own
        self._fetcher = fetcher

    async def open(self, wanted: Wanted) -> str:
        """All of it is there."""
        del wanted
        return self.directory

    async def read(self, name: str, limit: int) -> bytes | None:
        """A small file, links followed inside the directory."""
        return await self._bridge.call(read_inside, self.directory, name, limit)

    def close(self) -> None:
        """Remove it if it was made for the build. Idempotent."""
        if self._fetcher is not None:
            self._fetcher.close()
        if self._own is not None:
            self._own.drop(self.directory)


def read_inside(directory: str, name: str, limit: int) -> bytes | None:
    """A file below a directory that may hold hostile links; None when it isn't there."""
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = open_in_root(root, name, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    finally:
        os.close(root)
    with open(fd, "rb") as file:
        if not os.path.isfile(f"/proc/self/fd/{fd}"):
            raise InvalidArgument(f"{name} is no regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Exhausted(f"{name} is larger than {limit >> 20} MiB")
    return data


def unpack(stream: Readable, scratch: Scratch) -> str:
    """Unpack a context's tar, compressed or not, into a new directory; owners become root, as Docker has it.

    Device nodes are left out. Raises Corrupt for what is no archive, or tries to leave.
    """
    directory = scratch.make("context")
    try:
        root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            source = Source(stream)
            if source.peek(1):
                _, plain = inflate(source)
                options = Options(owner=lambda _uid, _gid: (0, 0), devices=False, most_bytes=_MOST)
                extract(plain, root, options)
        finally:
            os.close(root)
    except BaseException:
        scratch.drop(directory)
        raise
    return directory


def open_download(path: str, scratch: Scratch) -> str:
    """What was fetched as a context: an archive, or else the text of a Dockerfile."""
    with open(path, "rb", buffering=0) as file:
        try:
            return unpack(file, scratch)
        except Corrupt:
            file.seek(0)
            data = file.read(_LARGEST_TEXT + 1)
    if len(data) > _LARGEST_TEXT or b"\0" in data:
        raise InvalidArgument("the address holds neither an archive nor a Dockerfile")
    directory = scratch.make("context")
    with open(os.path.join(directory, "Dockerfile"), "wb") as made:
        made.write(data)
    return directory
