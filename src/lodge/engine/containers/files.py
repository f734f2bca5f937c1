"""A container's files from outside: what changed, export, and copies in and out.

All of it is done by short-lived workers that look at the container's root and at nothing else
(`runtime.files`); no path of a container is ever resolved here.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

from msgspec.structs import replace

from lodge.engine.census import Resident
from lodge.engine.containers.news import announce
from lodge.engine.models import Change, Container, PathStat
from lodge.engine.parts import Parts
from lodge.engine.pipes import Inflow, Outflow
from lodge.engine.planning import machines, remap
from lodge.engine.planning.mount_wishes import MountWish
from lodge.engine.planning.mounts import of_wish
from lodge.errors import Conflict, Forbidden, InvalidArgument, NotFound, Unavailable
from lodge.runtime.exit_record import ProcessIdentity
from lodge.runtime.failures import error_of
from lodge.runtime.files.orders import ArchiveIn, ArchiveOut, Export, FileOrder, PathIs, Site, StatPath
from lodge.runtime.link import Link
from lodge.runtime.messages import Done, Failed, Sync
from lodge.spec.mount import Mount as RootMount
from lodge.wire.modes import to_go

_KINDS = {"C": 0, "A": 1, "D": 2}
_PIECE = 1 << 20


async def changes(parts: Parts, resident: Resident) -> list[Change]:
    """What differs from the image, sorted by path; the places of the engine's own mounts are below it."""
    await settle(resident)
    found = await parts.bridge.call(parts.store.snapshots.changes, resident.id)
    return [Change(kind=_KINDS[kind], path=path) for kind, path in found]


async def export(parts: Parts, resident: Resident) -> Outflow:
    """The whole root file system as a tar, without what is mounted in it."""
    order = Export(request=1, site=site_of(parts, resident.container))
    _, flow = await _outgoing(parts, resident, order, "")
    announce(parts, resident, "export")
    return flow


async def stat_path(parts: Parts, resident: Resident, path: str) -> PathStat:
    """What is at a path; NotFound in Docker's words."""
    await settle(resident)
    order = StatPath(request=1, site=site_of(parts, resident.container), path=_checked(path))
    async with aclosing(_answers(parts.launcher.files(order))) as answers:
        async for answer in answers:
            if isinstance(answer, PathIs):
                return _stat(answer)
            _raise_failure(answer, resident, path)
    raise Unavailable("the file worker has ended without an answer")


async def get_archive(parts: Parts, resident: Resident, path: str) -> tuple[PathStat, Outflow]:
    """A file or directory as a tar; NotFound before the first byte."""
    order = ArchiveOut(request=1, site=site_of(parts, resident.container), path=_checked(path))
    found, flow = await _outgoing(parts, resident, order, path)
    assert found is not None
    announce(parts, resident, "archive-path")
    return found, flow


async def put_archive(
    parts: Parts,
    resident: Resident,
    path: str,
    source: Inflow,
    *,
    no_overwrite_dir_non_dir: bool,
    copy_uid_gid: bool,
) -> None:
    """Unpack a tar, plain or compressed, into a directory; NotFound, InvalidArgument, Forbidden."""
    container = resident.container
    _check_writable(container, _checked(path))
    await settle(resident)
    order = ArchiveIn(
        request=1,
        site=site_of(parts, container),
        path=path,
        keep_kinds=no_overwrite_dir_non_dir,
        owner=container.wish.config.user if copy_uid_gid else "",
    )
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        link = parts.launcher.files(order, [reading])
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    feeding = asyncio.ensure_future(parts.bridge.call(_feed, source, writing))
    try:
        async with aclosing(_answers(link)) as answers:
            async for answer in answers:
                _raise_failure(answer, resident, path)
                if isinstance(answer, Done):
                    break
            else:
                raise Unavailable("the file worker has ended without an answer")
    finally:
        # A source that broke off is told rather than what the worker made of its half.
        await feeding
        await settle(resident, changed=True)
    announce(parts, resident, "extract-to-dir")


def _feed(source: Inflow, writing: int) -> None:
    """Pass a client's bytes on to the worker; what the worker doesn't want any more is read and dropped."""
    wanted = True
    try:
        while data := source.read(_PIECE):
            view = memoryview(data)
            while wanted and view:
                try:
                    view = view[os.write(writing, view) :]
                except BrokenPipeError:
                    wanted = False
    finally:
        os.close(writing)


async def _outgoing(
    parts: Parts, resident: Resident, order: FileOrder, path: str
) -> tuple[PathStat | None, Outflow]:
    """Start a worker that writes to a pipe; what it says of the path, and the pipe."""
    await settle(resident)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        link = parts.launcher.files(order, [writing])
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    answers = _answers(link)
    found: PathStat | None = None
    try:
        if isinstance(order, ArchiveOut):
            first = await anext(answers, None)
            _raise_failure(first, resident, path)
            if not isinstance(first, PathIs):
                raise Unavailable("the file worker has ended without an answer")
            found = _stat(first)
    except BaseException:
        os.close(reading)
        await answers.aclose()
        raise
    return found, Outflow(fd=reading, done=asyncio.ensure_future(_finish(answers, resident, path)))


async def _finish(answers: AsyncGenerator[Any, None], resident: Resident, path: str) -> None:
    async with aclosing(answers):
        async for answer in answers:
            _raise_failure(answer, resident, path)


async def _answers(link: Link) -> AsyncGenerator[Any, None]:
    """What a worker says, until it ends."""
    loop = asyncio.get_running_loop()
    news = asyncio.Event()
    fd = link.fileno()
    loop.add_reader(fd, news.set)
    try:
        while not link.ended:
            await news.wait()
            news.clear()
            for answer, _fds in link.receive():
                yield answer
    finally:
        loop.remove_reader(fd)
        link.close()


def _raise_failure(answer: Any, resident: Resident, path: str) -> None:
    if not isinstance(answer, Failed):
        return
    error = error_of(answer)
    if isinstance(error, NotFound):
        raise NotFound(f"Could not find the file {path} in container {resident.container.name}") from error
    raise error


async def settle(resident: Resident, *, changed: bool = False) -> None:
    """Bring the files of a machine that runs to the host, or tell it that the host changed some."""
    keeper, state = resident.keeper, resident.container.state
    if not machines.wanted(resident.container.wish.host) or keeper is None or state.status != "running":
        return
    with suppress(Conflict, Unavailable):
        # One that ends at this moment has done so by itself.
        await keeper.post(Sync(request=keeper.next_number(), changed=changed))


def _aside(mounts: list[RootMount]) -> list[RootMount]:
    """A machine's files while it runs.

    Beside its own mount of them, so with a work directory of one's own.
    """
    found: list[RootMount] = []
    for mount in mounts:
        options = [f"{option}-host" if option.startswith("workdir=") else option for option in mount.options]
        for option in options:
            if option.startswith("workdir="):
                os.makedirs(option.removeprefix("workdir="), 0o700, exist_ok=True)
        found.append(replace(mount, options=tuple(options)))
    return found


def site_of(parts: Parts, container: Container) -> Site:
    """Where its files are: what its program sees, or, when none runs, its snapshot with its mounts."""
    in_machine = machines.wanted(container.wish.host)
    if container.state.pid and not in_machine:
        # Only a program that runs sees shifted owners; on the disk they are those of the image.
        users = remap.wanted(container.wish.host, parts.facts.mappings)
        uids = list(parts.facts.mappings.uids) if users else []
        gids = list(parts.facts.mappings.gids) if users else []
        try:
            identity = ProcessIdentity.of(container.state.pid)
            return Site(init=identity, uid_mappings=uids, gid_mappings=gids)
        except ProcessLookupError:
            # It ends at this moment: its files are then where they are for a stopped one.
            pass
    mounts = [of_wish(wish) for wish in container.layout if _shown(parts, wish)]
    root_mounts = list(parts.store.snapshots.mounts(container.id))
    return Site(
        place=os.path.join(parts.settings.exec_root, "place"),
        root_mounts=_aside(root_mounts) if in_machine and container.state.pid else root_mounts,
        mounts=mounts,
    )


def _shown(parts: Parts, wish: MountWish) -> bool:
    """Whether a mount of a container that does not run can be shown now."""
    if wish.type == "bind":
        return os.path.lexists(wish.source)
    return wish.type == "volume" and not wish.subpath and parts.volumes.exists(wish.name)


def _checked(path: str) -> str:
    if not path:
        raise InvalidArgument("bad parameter: path cannot be empty")
    if "\0" in path:
        raise InvalidArgument("bad parameter: path contains a null byte")
    return path


def _check_writable(container: Container, path: str) -> None:
    """Forbidden in Docker's words where the container itself could not write."""
    place = posixpath.normpath("/" + path)
    covering = [
        wish
        for wish in container.layout
        if place == wish.destination or place.startswith(wish.destination.rstrip("/") + "/")
    ]
    if covering:
        if max(covering, key=lambda wish: len(wish.destination)).read_only:
            raise Forbidden("mounted volume is marked read-only")
    elif container.wish.host.readonly_rootfs:
        raise Forbidden("container rootfs is marked read-only")


def _stat(found: PathIs) -> PathStat:
    return PathStat(
        name=found.name,
        size=found.size,
        mode=to_go(found.mode),
        mtime=found.mtime_ns,
        link_target=found.link_target,
    )
