"""The file worker's job: one order, done from the descriptor of the container's root.

The archive passes through this process only: it is never on disk, and nothing is executed for it
(CVE-2026-41567).
"""

from __future__ import annotations

import errno
import os
import posixpath
import select
import signal
import socket
import stat
from collections.abc import Callable
from typing import Any, NoReturn

from lodge.archive.compression import inflate
from lodge.archive.extract import Options, extract
from lodge.archive.source import DescriptorReader
from lodge.archive.tree import TreeOptions, write_member, write_tree
from lodge.errors import Exhausted, InvalidArgument, LodgeError, NotFound, StartFailed
from lodge.kernel import capabilities, paths
from lodge.kernel.process import set_keepcaps, set_title, setresgid, setresuid
from lodge.runtime.failures import failed
from lodge.runtime.files import names
from lodge.runtime.files.entry import enter
from lodge.runtime.files.orders import (
    ArchiveIn,
    ArchiveOut,
    Export,
    FileOrder,
    PathIs,
    Site,
    StatPath,
    to_worker,
)
from lodge.runtime.link import Link
from lodge.runtime.messages import Done, Message
from lodge.runtime.process import users
from lodge.spec.runtime import IdMapping

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_ANSWER_PATIENCE = 5.0

Owner = Callable[[int, int], tuple[int, int]]


def become_worker(sock: socket.socket) -> NoReturn:
    """Turn this process, a fresh fork, into a file worker; it ends here."""
    status = 1
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        set_title(["lodge-files"])
        _serve(Link(sock, to_worker))
        status = 0
    finally:
        os._exit(status)


def _serve(link: Link) -> None:
    select.select([link], [], [])
    for order, fds in link.receive()[:1]:
        answer: Message
        try:
            answer = _do(order, fds, lambda message: _say(link, message))
        except Exception as error:
            answer = failed(order.request, _explained(error, order))
        # The reader of an archive shall see its end before it hears that all is well.
        for fd in fds:
            os.close(fd)
        _say(link, answer)


def _say(link: Link, message: Message) -> None:
    link.send(message)
    while link.backlog and select.select([], [link], [], _ANSWER_PATIENCE)[1]:
        link.flush()


def _do(order: FileOrder, fds: list[int], say: Callable[[Message], None]) -> Message:
    expected = 0 if isinstance(order, StatPath) else 1
    if len(fds) != expected:
        raise InvalidArgument(f"{type(order).__name__} came with {len(fds)} files")
    for fd in fds:
        os.set_blocking(fd, True)
    root = enter(order.site, bare=isinstance(order, Export))
    if isinstance(order, StatPath):
        say(_stat(root, order.path))
    elif isinstance(order, ArchiveOut):
        _send(root, order, fds[0], say)
    elif isinstance(order, ArchiveIn):
        _receive(root, order, fds[0])
    elif isinstance(order, Export):
        write_tree(root, _writer(fds[0]), TreeOptions(owner=_shown_owner(order)))
    return Done(request=order.request)


def _stat(root: int, path: str) -> PathIs:
    name = names.parse(path)
    directory = paths.open_in_root(root, name.directory, os.O_PATH | os.O_DIRECTORY)
    status = (
        os.stat(name.entry, dir_fd=directory, follow_symlinks=False) if name.entry else os.fstat(directory)
    )
    target = ""
    if stat.S_ISLNK(status.st_mode):
        target = _link_target(root, directory, name)
    os.close(directory)
    return PathIs(
        name=_sayable(name.shown),
        size=status.st_size,
        mode=status.st_mode,
        mtime_ns=status.st_mtime_ns,
        link_target=_sayable(target),
    )


def _link_target(root: int, directory: int, name: names.Name) -> str:
    """What a link leads to inside the root; for a dangling one, what it says."""
    try:
        return paths.resolve_in_root(root, posixpath.join(name.directory, name.entry))
    except OSError:
        said = os.readlink(name.entry, dir_fd=directory)
        return posixpath.normpath(posixpath.join(paths.resolve_in_root(root, name.directory), said))


def _send(root: int, order: ArchiveOut, fd: int, say: Callable[[Message], None]) -> None:
    say(_stat(root, order.path))
    name = names.parse(order.path)
    shown = os.fsencode(name.shown)
    directory = paths.open_in_root(root, name.directory, _DIRECTORY)
    options = TreeOptions(owner=_shown_owner(order))
    if name.entry:
        write_member(directory, os.fsencode(name.entry), shown, _writer(fd), options)
    else:
        options.prefix = shown.rstrip(b"/") + b"/"
        write_tree(directory, _writer(fd), options)


def _receive(root: int, order: ArchiveIn, fd: int) -> None:
    try:
        directory = paths.open_in_root(root, order.path or "/", _DIRECTORY)
    except NotADirectoryError:
        raise InvalidArgument("extraction point is not a directory") from None
    owner = _stored_owner(order)
    if order.owner:
        owner = _one_owner(root, order.owner, owner)
    options = Options(keep_kinds=order.keep_kinds, owner=owner)
    if order.site.uid_mappings:
        _be_the_insides_root(order.site)
    extract(inflate(DescriptorReader(fd))[1], directory, options)


def _be_the_insides_root(site: Site) -> None:
    """On an idmapped mount the host has no root that could make a file: be who the container's is."""
    rights = capabilities.current().permitted
    set_keepcaps(True)
    # SAFETY: this process serves one order and ends; its rights stay, only its name for the disk changes.
    gid, uid = _outside(0, site.gid_mappings), _outside(0, site.uid_mappings)
    setresgid(gid, gid, gid)
    setresuid(uid, uid, uid)
    capabilities.set_capabilities(rights, rights, 0)


def _writer(fd: int) -> Callable[[bytes], object]:
    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    return write


def _shown_owner(order: FileOrder) -> Owner | None:
    """From the disk's owners to those inside the container's user namespace."""
    site = order.site
    if not site.uid_mappings:
        return None
    return lambda uid, gid: (_inside(uid, site.uid_mappings), _inside(gid, site.gid_mappings))


def _stored_owner(order: FileOrder) -> Owner | None:
    site = order.site
    if not site.uid_mappings:
        return None
    return lambda uid, gid: (_outside(uid, site.uid_mappings), _outside(gid, site.gid_mappings))


_NOBODY = 65534


def _one_owner(root: int, user: str, stored: Owner | None) -> Owner:
    """All belongs to one user, who is looked up in the container."""
    try:
        account = users.resolve(user, (), users.read_files(root))
    except StartFailed as error:
        raise InvalidArgument(error.message) from None
    everybody = (account.uid, account.gid)
    if stored is not None:
        everybody = stored(*everybody)
    return lambda _uid, _gid: everybody


def _inside(number: int, mappings: list[IdMapping]) -> int:
    for each in mappings:
        if each.host_id <= number < each.host_id + each.size:
            return number - each.host_id + each.container_id
    return _NOBODY


def _outside(number: int, mappings: list[IdMapping]) -> int:
    for each in mappings:
        if each.container_id <= number < each.container_id + each.size:
            return number - each.container_id + each.host_id
    raise InvalidArgument(f"id {number} has no place in the container's user namespace")


def _explained(error: Exception, order: Any) -> Exception:
    """What an error of the system means to the user."""
    if isinstance(error, LodgeError) or not isinstance(error, OSError):
        return error
    path = _sayable(getattr(order, "path", "/"))
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(f"no such file or directory: {path}")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Exhausted(f"no space left on device: {path}")
    if error.errno == errno.EROFS:
        return InvalidArgument("container rootfs is marked read-only")
    return error


def _sayable(text: str) -> str:
    """A name as text that can be said in JSON: bytes that are no UTF-8 are replaced."""
    return os.fsencode(text).decode("utf-8", "replace")
