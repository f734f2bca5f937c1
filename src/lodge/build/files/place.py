"""Putting files into a layer in the making: a directory that will lie over other layers.

Names are looked up in the layer first and then below it; what is written goes into the layer only. So a
directory of the layers below is made again in the layer, as overlayfs would copy it up, before something is
put into it. Nobody else writes to the layer, and no link is followed but those of the target itself.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import NamedTuple, Self

from lodge.archive.beneath import Beneath
from lodge.build.files.modes import Mode
from lodge.build.files.select import Root, Selection
from lodge.build.files.view import Found, View, clean, resolve
from lodge.errors import Conflict

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST = 1 << 30
Ids = tuple[int, int]


class _Here(NamedTuple):
    """Something in the layer; see view.Found."""

    status: os.stat_result
    directory: int
    name: bytes

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)


class Layer:
    """A layer in the making: `top` is its directory's descriptor (the caller's), `below` what it lies on.

    `time` is given to what is made without a model (nanoseconds), None for now. A `View` itself.
    """

    def __init__(self, top: int, below: View, *, time: int | None = None) -> None:
        self._beneath = Beneath(top)
        self._top = top
        self._below = below
        self._time = time
        self._ready: set[bytes] = {b""}
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._beneath.close()

    def received(self, place: bytes, implicit: Sequence[bytes]) -> None:
        """Look at the layer anew: an archive was unpacked at a place.

        Directories that came only because something lies in them look as they do below.
        """
        self._beneath.forget()
        for path in implicit:
            whole = place + b"/" + path if place else path
            found = self._below.find(whole)
            if found is not None and found.is_directory:
                _copy_attributes(found, self._beneath.directory(whole))
        self._ready = {b""} | {path for path in self._ready if self._is_ready(path)}

    def _is_ready(self, path: bytes) -> bool:
        found = _Here(os.fstat(self._top), self._beneath.root, b".")
        if path:
            head, _, base = path.rpartition(b"/")
            try:
                parent = self._beneath.directory(head)
                status = os.stat(base, dir_fd=parent, follow_symlinks=False)
            except OSError:
                return False
            found = _Here(status, parent, base)
        return found.is_directory

    # ---- a view of the layer over what is below it

    def find(self, path: bytes) -> Found | None:
        """What is there."""
        if not path:
            return _Here(os.fstat(self._top), self._beneath.root, b".")
        head, _, base = path.rpartition(b"/")
        if head in self._ready:
            parent = self._beneath.directory(head)
            try:
                return _Here(os.stat(base, dir_fd=parent, follow_symlinks=False), parent, base)
            except FileNotFoundError:
                pass
        elif not self._may_be_below(head):
            return None
        return self._below.find(path)

    def _may_be_below(self, path: bytes) -> bool:
        """Whether the layers below show through at a directory: not where the layer has something else."""
        while path and path not in self._ready:
            head, _, base = path.rpartition(b"/")
            if head in self._ready:
                parent = self._beneath.directory(head)
                try:
                    return stat.S_ISDIR(os.stat(base, dir_fd=parent, follow_symlinks=False).st_mode)
                except FileNotFoundError:
                    return True
            path = head
        return True

    def children(self, path: bytes) -> dict[bytes, os.stat_result]:
        """What a directory holds."""
        found = dict(self._below.children(path))
        if path in self._ready:
            fd = os.open(
                b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._beneath.directory(path)
            )
            try:
                for name in map(os.fsencode, os.listdir(fd)):
                    found[name] = os.stat(name, dir_fd=fd, follow_symlinks=False)
            finally:
                os.close(fd)
        return found

    # ---- making

    def make_directory(self, path: str, ids: Ids = (0, 0), mode: int = 0o755) -> bytes:
        """Make a directory with its parents; links are followed. The place where it really is."""
        place = resolve(self, clean(path))
        self.directory(place, ids, mode)
        return place

    def directory(self, place: bytes, ids: Ids = (0, 0), mode: int = 0o755) -> int:
        """A descriptor (good until the next call) of a directory in the layer, made as it is below.

        Conflict in BuildKit's words when something else is there.
        """
        if place not in self._ready:
            head, _, base = place.rpartition(b"/")
            self.directory(head, ids, mode)
            below = self.find(place)
            if below is not None and not below.is_directory:
                raise Conflict(f"cannot copy to non-directory: /{os.fsdecode(place)}")
            parent = self._beneath.directory(head)
            try:
                os.mkdir(base, 0o700, dir_fd=parent)
            except FileExistsError:
                self._ready.add(place)
                return self._beneath.directory(place)
            fd = self._beneath.directory(place)
            if below is not None:
                _copy_attributes(below, fd)
            else:
                self._finish(fd, ids, mode)
            self._ready.add(place)
        return self._beneath.directory(place)

    def _finish(self, fd: int, ids: Ids, mode: int) -> None:
        here = f"/proc/self/fd/{fd}"
        os.chown(here, *ids)
        os.chmod(here, mode)
        if self._time is not None:
            os.utime(here, ns=(self._time, self._time))

    def write(self, path: str, data: bytes, ids: Ids, mode: int) -> None:
        """Write a small file; its directory is made, what is there is replaced."""
        head, base = self._parent(clean(path), ids)
        parent = self.directory(head, ids)
        self._clear(head, base)
        fd = os.open(base, _CREATE, 0o600, dir_fd=parent)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fchown(fd, *ids)
            os.fchmod(fd, mode)
            if self._time is not None:
                os.utime(fd, ns=(self._time, self._time))
        finally:
            os.close(fd)
        self.size += len(data)

    def _parent(self, path: bytes, ids: Ids) -> tuple[bytes, bytes]:
        head, _, base = path.rpartition(b"/")
        if not base:
            raise Conflict("cannot copy a file over the root directory")
        place = resolve(self, head)
        self.directory(place, ids)
        found = self.find(place + b"/" + base if place else base)
        if found is not None and found.is_directory:
            raise Conflict(f"cannot overwrite directory /{os.fsdecode(path)} with a file")
        return place, base

    def _clear(self, head: bytes, base: bytes) -> None:
        """Take away what the layer itself has at a name; a directory of it, or below, is a Conflict."""
        path = head + b"/" + base if head else base
        found = self.find(path)
        if found is not None and found.is_directory:
            raise Conflict(f"cannot copy to directory: /{os.fsdecode(path)}")
        try:
            os.unlink(base, dir_fd=self._beneath.directory(head))
        except FileNotFoundError:
            pass


class Copier:
    """Copies selections from one view into a layer. `ids` None keeps owners."""

    def __init__(self, source: View, layer: Layer, *, ids: Ids | None, mode: Mode | None) -> None:
        self._source = source
        self._layer = layer
        self._ids = ids
        self._mode = mode
        self._links: dict[tuple[int, int], tuple[bytes, bytes]] = {}

    def copy(self, root: Root, selection: Selection, target: str, *, into: bool) -> None:
        """Copy one source. `into` says that the target is a directory whatever is there now."""
        owner = self._ids or (0, 0)
        # BuildKit gives what --chmod says to the directories that it makes on the way, too.
        mode = self._mode.apply(stat.S_IFDIR | 0o755) if self._mode else 0o755
        place = resolve(self._layer, clean(target))
        if root.contents:
            inner = place + b"/" + root.place if place and root.place else root.place or place
            existed = self._layer.find(inner) is not None
            self._layer.directory(inner, owner, mode)
            if not existed and inner:
                self._attributes(root.path, root.status, inner)
            for item in selection.items(root):
                self._item(item.source, item.status, place + b"/" + item.place if place else item.place)
            return
        found = self._layer.find(place)
        if into or target.endswith("/") or (found is not None and found.is_directory):
            name = root.place or root.name
            place = place + b"/" + name if place else name
        head = place.rpartition(b"/")[0]
        self._layer.directory(head, owner, mode)
        self._item(root.path, root.status, place)

    def _item(self, source: bytes, status: os.stat_result, place: bytes) -> None:
        if stat.S_ISDIR(status.st_mode):
            self._layer.directory(place, self._ids or (status.st_uid, status.st_gid))
            self._attributes(source, status, place)
            return
        found = self._source.find(source)
        if found is None:
            return
        head, _, base = place.rpartition(b"/")
        parent = self._layer.directory(head)
        self._layer._clear(head, base)
        if stat.S_ISSOCK(found.status.st_mode):
            return
        if self._linked(found, parent, head, base):
            return
        self._node(found, parent, base)

    def _linked(self, found: Found, parent: int, head: bytes, base: bytes) -> bool:
        """Link again what is linked in the source."""
        if found.status.st_nlink < 2:
            return False
        key = (found.status.st_dev, found.status.st_ino)
        first = self._links.setdefault(key, (head, base))
        if first == (head, base):
            return False
        source = os.dup(self._layer.directory(first[0]))
        try:
            parent = self._layer.directory(head)
            os.link(first[1], base, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EMLINK, errno.ENOENT, errno.EEXIST):
                raise
            return False
        finally:
            os.close(source)
        return True

    def _node(self, found: Found, parent: int, base: bytes) -> None:
        status = found.status
        ids = self._ids or (status.st_uid, status.st_gid)
        if stat.S_ISREG(status.st_mode):
            self._file(found, parent, base, ids)
            return
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(found.name, dir_fd=found.directory), base, dir_fd=parent)
        else:
            os.mknod(base, status.st_mode, status.st_rdev, dir_fd=parent)
        os.chown(base, *ids, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            # SAFETY: made by us a moment ago, in a directory that nobody else writes to.
            os.chmod(base, self._bits(status), dir_fd=parent)
        times = (status.st_atime_ns, status.st_mtime_ns)
        os.utime(base, ns=times, dir_fd=parent, follow_symlinks=False)

    def _file(self, found: Found, parent: int, base: bytes, ids: Ids) -> None:
        status = found.status
        source = os.open(found.name, _OPEN, dir_fd=found.directory)
        try:
            target = os.open(base, _CREATE, 0o600, dir_fd=parent)
            try:
                if status.st_size:
                    _copy_bytes(source, target)
                if ids != (0, 0):
                    os.fchown(target, *ids)
                _copy_xattrs(source, target)
                os.fchmod(target, self._bits(status))
                os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
            finally:
                os.close(target)
        finally:
            os.close(source)
        self._layer.size += status.st_size

    def _bits(self, status: os.stat_result) -> int:
        return self._mode.apply(status.st_mode) if self._mode else stat.S_IMODE(status.st_mode)

    def _attributes(self, source: bytes, status: os.stat_result, place: bytes) -> None:
        """Give a directory of the layer what the source's has."""
        found = self._source.find(source)
        here = f"/proc/self/fd/{self._layer.directory(place)}"
        os.chown(here, *(self._ids or (status.st_uid, status.st_gid)))
        os.chmod(here, self._bits(status))
        if found is not None:
            os.utime(here, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _copy_bytes(source: int, target: int) -> None:
    """Inside the kernel, where the file system can by sharing the blocks."""
    while True:
        try:
            if not os.copy_file_range(source, target, _MOST):
                return
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            while os.sendfile(target, source, None, _MOST):
                pass
            return


def _copy_xattrs(source: int, target: int) -> None:
    for name in os.listxattr(source):
        if not name.startswith(("trusted.overlay.", "user.overlay.", "security.selinux")):
            os.setxattr(target, name, os.getxattr(source, name))


def _copy_attributes(found: Found, target: int) -> None:
    """Give a directory (O_PATH) what another has."""
    status = found.status
    here = f"/proc/self/fd/{target}"
    there = b"/proc/self/fd/%d/%b" % (found.directory, found.name)
    os.chown(here, status.st_uid, status.st_gid)
    os.chmod(here, stat.S_IMODE(status.st_mode))
    for name in os.listxattr(there, follow_symlinks=False):
        if not name.startswith(("trusted.overlay.", "user.overlay.")):
            os.setxattr(here, name, os.getxattr(there, name, follow_symlinks=False))
    os.utime(here, ns=(status.st_atime_ns, status.st_mtime_ns))
