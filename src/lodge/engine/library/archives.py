"""Files in and out of a container, for the library: small tar archives made and read in a thread."""

from __future__ import annotations

import asyncio
import io
import os
import posixpath
import tarfile
from typing import IO

from lodge.archive.extract import Options, extract
from lodge.engine.engine import Engine as Core
from lodge.errors import InvalidArgument
from lodge.spec.streams import HEADER_SIZE, parse_header


def unframed(data: bytes) -> bytes:
    """The payloads of frames, one after the other."""
    pieces, place = [], 0
    while place + HEADER_SIZE <= len(data):
        _, length = parse_header(data[place : place + HEADER_SIZE])
        pieces.append(data[place + HEADER_SIZE : place + HEADER_SIZE + length])
        place += HEADER_SIZE + length
    return b"".join(pieces)


async def read_file(core: Core, id: str, path: str) -> bytes:
    """The bytes of a regular file, links followed; InvalidArgument for anything else."""
    found = await core.containers.stat_path(id, path)
    _, flow = await core.containers.get_archive(id, found.link_target or path)
    data = await asyncio.to_thread(_first_file, flow.fd)
    await flow.done
    if data is None:
        raise InvalidArgument(f"{path} is not a regular file")
    return data


def _first_file(fd: int) -> bytes | None:
    with os.fdopen(fd, "rb") as pipe, tarfile.open(fileobj=pipe, mode="r|") as archive:
        data = None
        for member in archive:
            if data is None and member.isreg():
                content = archive.extractfile(member)
                data = content.read() if content else None
        return data


async def write_file(core: Core, id: str, path: str, data: bytes, mode: int) -> None:
    """Put one file into its directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(posixpath.basename(path))
        member.size, member.mode = len(data), mode
        archive.addfile(member, io.BytesIO(data))
    buffer.seek(0)
    await _put(core, id, posixpath.dirname(path) or "/", buffer)


async def copy_in(core: Core, id: str, source: str, directory: str) -> None:
    """Pack something of this machine, and unpack it there."""
    reading, writing = os.pipe2(os.O_CLOEXEC)

    def pack() -> None:
        with os.fdopen(writing, "wb") as pipe, tarfile.open(fileobj=pipe, mode="w|") as archive:
            archive.add(source, arcname=os.path.basename(os.path.abspath(source)))

    packing = asyncio.ensure_future(asyncio.to_thread(pack))
    with os.fdopen(reading, "rb") as pipe:
        await _put(core, id, directory, pipe)
    await packing


async def _put(core: Core, id: str, directory: str, source: IO[bytes]) -> None:
    await core.containers.put_archive(
        id, directory, source, no_overwrite_dir_non_dir=False, copy_uid_gid=False
    )


async def copy_out(core: Core, id: str, path: str, directory: str) -> None:
    """Unpack something of the container here, as the caller's own files; nothing leaves the directory."""
    _, flow = await core.containers.get_archive(id, path)
    mine = (os.geteuid(), os.getegid())

    def unpack() -> None:
        # Not tarfile: its filters came with Python 3.11.4, later than Debian 12's.
        root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.fdopen(flow.fd, "rb") as pipe:
                extract(pipe, root, Options(owner=lambda _uid, _gid: mine, devices=False))
        finally:
            os.close(root)

    await asyncio.to_thread(unpack)
    await flow.done
