"""A client's trees, brought here as far as a build needs them; and trees and archives brought to the client.

The client lists its files, we ask for the contents that are not here yet, it sends them: packets of fsutil
(tonistiigi/fsutil), on streams of moby/buildkit's session/filesync. `engine.build.synced` keeps them here.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from lodge.api.buildkit import messages as m
from lodge.api.buildkit.protobuf import Message
from lodge.api.buildkit.sessions import Session, failure
from lodge.api.buildkit.transport import GRPCError, StreamTerminatedError
from lodge.build.contract import Wanted
from lodge.engine.build.contexts import read_inside
from lodge.engine.build.synced import Entry, Incoming, Tree, Trees
from lodge.errors import Corrupt, InvalidArgument, Unsupported
from lodge.wire.modes import from_go, to_go

DIFF_COPY = "/moby.filesync.v1.FileSync/DiffCopy"
SEND = "/moby.filesync.v1.FileSend/DiffCopy"
_STAT, _REQ, _DATA, _FIN, _ERR = range(5)
_ASKED_AT_ONCE = 64
_PIECE = 32 << 10


class SyncedContext:
    """A client's tree as a build's context; see build.contract.Context. `close` it with the build."""

    def __init__(self, session: Session, name: str, trees: Trees) -> None:
        self._session = session
        self._name = name
        self._tree: Tree = trees.take(session.shared_key or session.id, name)
        self._busy = asyncio.Lock()
        self._have: set[Wanted] = set()

    async def open(self, wanted: Wanted) -> str:
        """The directory, with what is wanted in it."""
        async with self._busy:
            if wanted not in self._have:
                # All that was wanted so far: what is not listed goes.
                await receive(self._session, self._name, self._tree.directory, _union({*self._have, wanted}))
                self._have.add(wanted)
        return self._tree.directory

    async def read(self, name: str, limit: int) -> bytes | None:
        """One file, links followed inside the tree."""
        return read_inside(await self.open(Wanted(include=(name,))), name, limit)

    def close(self) -> None:
        """Leave the tree for the next build. Idempotent."""
        self._tree.close()


def _union(wishes: set[Wanted]) -> Wanted:
    """One wish for all of them: the whole when one wants the whole; ignored is what all ignore."""
    excludes = {wish.exclude for wish in wishes}
    exclude = excludes.pop() if len(excludes) == 1 else ()
    if any(not wish.include for wish in wishes):
        return Wanted(exclude=exclude)
    include = tuple(sorted({name for wish in wishes for name in wish.include}))
    return Wanted(include=include, exclude=exclude, follow=any(wish.follow for wish in wishes))


async def receive(session: Session, name: str, directory: str, wanted: Wanted) -> None:
    """Bring a tree of the client up to date here.

    NotFound when the client has no such tree, Corrupt for a listing that makes no sense.
    """
    if DIFF_COPY not in session.methods:
        raise Unsupported("no local sources enabled: the client's session serves no files")
    incoming = Incoming(directory)
    try:
        async with session.line.stream(DIFF_COPY, m.PACKET, _metadata(name, wanted)) as stream:
            await stream.send_request()
            await _Transfer(stream, incoming).run()
        incoming.finish()
    except (GRPCError, StreamTerminatedError) as error:
        raise failure(error) from error
    finally:
        incoming.abort()


class _Transfer:
    """The packets of one transfer to us."""

    def __init__(self, stream: Any, incoming: Incoming) -> None:
        self._stream = stream
        self._incoming = incoming
        self._waiting: list[tuple[int, Entry]] = []

    async def run(self) -> None:
        count = 0
        listed = finished = False
        while True:
            packet: Message | None = await self._stream.recv_message()
            if packet is None:
                raise Corrupt("the client ended the transfer of its files early")
            if packet["type"] == _FIN:
                return
            if packet["type"] == _STAT and packet["stat"] is None:
                self._incoming.listed()
                listed = True
            elif packet["type"] == _STAT:
                entry = _entry(packet["stat"])
                if self._incoming.take(entry):
                    self._waiting.append((count, entry))
                count += 1
            elif packet["type"] == _DATA:
                self._incoming.write(packet["ID"], packet["data"])
            else:
                raise Corrupt(f"the client can't send its files: {packet['data'].decode(errors='replace')}")
            await self._ask()
            if listed and not finished and not self._waiting and not self._incoming.coming:
                # With the end of our side: a server whose client may still speak resets the stream behind its
                # last words, and they would be lost.
                await self._stream.send_message({"type": _FIN}, end=True)
                finished = True

    async def _ask(self) -> None:
        while self._waiting and self._incoming.coming < _ASKED_AT_ONCE:
            number, entry = self._waiting.pop()
            self._incoming.begin(number, entry)
            await self._stream.send_message({"type": _REQ, "ID": number})


def _entry(given: Message) -> Entry:
    return Entry(
        given["path"], from_go(given["mode"] & 0xFFFFFFFF), given["size"], given["modTime"], given["linkname"]
    )


def _metadata(name: str, wanted: Wanted) -> list[tuple[str, str]]:
    found = [("dir-name", name)]
    found += _encoded("include-patterns", wanted.include)
    found += _encoded("exclude-patterns", wanted.exclude)
    if wanted.follow:
        found += _encoded("followpaths", wanted.include)
    return found


def _encoded(key: str, values: tuple[str, ...]) -> list[tuple[str, str]]:
    """Texts that are no plain ASCII go in the form of a query, and a mark says so."""
    if all(value.isascii() and value.isprintable() for value in values):
        return [(key, value) for value in values]
    return [(f"{key}-encoded", "1"), *((key, quote(value, safe="")) for value in values)]


async def send_tree(session: Session, directory: str, exporter: int) -> None:
    """Bring a directory to the client's place for the output of this number."""
    if SEND not in session.methods:
        raise Unsupported("the client's session takes no files")
    entries = list(_walk(directory))
    metadata = [("buildkit-attachable-exporter-id", str(exporter))]
    try:
        async with session.line.stream(SEND, m.PACKET, metadata) as stream:
            await stream.send_request()
            for relative, status in entries:
                await stream.send_message({"type": _STAT, "stat": _stat_of(directory, relative, status)})
            await stream.send_message({"type": _STAT})
            await _answer(stream, directory, entries)
    except (GRPCError, StreamTerminatedError) as error:
        raise failure(error) from error


def _walk(directory: str, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """All below it in the order of their names, directories before what is in them."""
    for entry in sorted(os.scandir(os.path.join(directory, prefix)), key=lambda entry: entry.name):
        status = entry.stat(follow_symlinks=False)
        if stat.S_IFMT(status.st_mode) not in (stat.S_IFDIR, stat.S_IFLNK, stat.S_IFREG):
            continue
        relative = f"{prefix}{entry.name}"
        yield relative, status
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(directory, f"{relative}/")


def _stat_of(directory: str, relative: str, status: os.stat_result) -> Message:
    link = os.readlink(os.path.join(directory, relative)) if stat.S_ISLNK(status.st_mode) else ""
    return {
        "path": relative,
        "mode": to_go(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "size": status.st_size if stat.S_ISREG(status.st_mode) else 0,
        "modTime": status.st_mtime_ns,
        "linkname": link,
    }


async def _answer(stream: Any, directory: str, entries: list[tuple[str, os.stat_result]]) -> None:
    while True:
        packet = await stream.recv_message()
        if packet is None or packet["type"] == _FIN:
            await stream.send_message({"type": _FIN}, end=True)
            return
        if packet["type"] == _ERR:
            reason = packet["data"].decode(errors="replace")
            raise InvalidArgument(f"the client can't take the files: {reason}")
        if packet["type"] != _REQ or not 0 <= packet["ID"] < len(entries):
            raise Corrupt("the client asked for a file that it was not told of")
        relative, _ = entries[packet["ID"]]
        with open(os.path.join(directory, relative), "rb") as file:
            while data := file.read(_PIECE):
                await stream.send_message({"type": _DATA, "ID": packet["ID"], "data": data})
        await stream.send_message({"type": _DATA, "ID": packet["ID"]})


class Sink:
    """Takes an output's bytes for the client (tar, docker, oci); `end` it when all is there."""

    def __init__(self, session: Session, exporter: int) -> None:
        if SEND not in session.methods:
            raise Unsupported("the client's session takes no output")
        metadata = [("buildkit-attachable-exporter-id", str(exporter))]
        self._opening = session.line.stream(SEND, m.PIECE, metadata)
        self._stream: Any = None

    async def __call__(self, data: bytes) -> None:
        """A piece."""
        if self._stream is None:
            self._stream = await self._opening.__aenter__()
        for at in range(0, len(data), _PIECE):
            await self._stream.send_message({"data": data[at : at + _PIECE]})

    async def end(self, error: BaseException | None = None) -> None:
        """All is there, or it went wrong."""
        if self._stream is None:
            return
        if error is None:
            await self._stream.end()
            while await self._stream.recv_message() is not None:
                pass
        await self._opening.__aexit__(type(error) if error else None, error, None)
