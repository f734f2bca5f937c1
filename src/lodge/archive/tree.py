"""Directory trees as tar archives: by descriptors from the root, in a fixed order.

Links are archived, never followed; what changes while it is read makes an archive that is still well-formed.
An overlay's upper directory becomes a layer: device 0/0 to `.wh.name`, opaque directories to `.wh..wh..opq`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from lodge.archive import header, whiteouts
from lodge.archive.header import Member
from lodge.archive.writer import TarWriter, Write

_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST: Final = 800
_PIECE: Final = 1 << 20
_TYPES: Final = {
    stat.S_IFREG: header.REGULAR,
    stat.S_IFDIR: header.DIRECTORY,
    stat.S_IFLNK: header.SYMLINK,
    stat.S_IFCHR: header.CHARACTER,
    stat.S_IFBLK: header.BLOCK_DEVICE,
    stat.S_IFIFO: header.FIFO,
}
_SKIPPED_XATTRS: Final = ("security.selinux", "trusted.overlay.", "user.overlay.")
Owner = tuple[int, int]


class TreeOptions(Struct):
    """How a tree is written.

    `prefix` goes in front of every name ("name/"); with one, the root itself is a member too. `owner` maps
    the uid and gid on disk to those in the archive. `latest` clamps times, in nanoseconds
    (SOURCE_DATE_EPOCH). `overlay` writes an upper directory as a layer; `user_xattrs` says which xattrs its
    mount used. `precise` keeps nanoseconds.
    """

    prefix: bytes = b""
    owner: Callable[[int, int], Owner] | None = None
    latest: int | None = None
    overlay: bool = False
    user_xattrs: bool = False
    precise: bool = False
    xattrs: bool = True
    skipped: list[bytes] = []


def write_tree(root: int, write: Write, options: TreeOptions | None = None) -> None:
    """Write everything below the directory descriptor `root` as a complete archive. Raises OSError.

    Sockets can't be archived; their names are put into `options.skipped`.
    """
    options = options or TreeOptions()
    writer = TarWriter(write, precise=options.precise)
    TreeWriter(writer, options).run(root)
    writer.finish()


def write_member(directory: int, name: bytes, member_name: bytes, write: Write, options: TreeOptions) -> None:
    """Write one thing in a directory descriptor, under another name, as a complete archive; trees with all.

    The name is one component and is not followed. This is what `docker cp` sends out of a container.
    """
    writer = TarWriter(write, precise=options.precise)
    walk = TreeWriter(writer, options)
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        options.prefix = member_name + b"/"
        root = os.open(name, _DIRECTORY, dir_fd=directory)
        try:
            walk.run(root)
        finally:
            os.close(root)
    else:
        walk.add(directory, name, member_name)
    writer.finish()


class TreeWriter:
    """Writes one tree, or single members of one; hard links among them are found."""

    def __init__(self, writer: TarWriter, options: TreeOptions) -> None:
        self._writer = writer
        self._options = options
        self._links: dict[tuple[int, int], bytes] = {}
        self._opaque = whiteouts.overlay_prefix(user=options.user_xattrs) + b"opaque"

    def run(self, root: int) -> None:
        """Write the tree below `root`."""
        prefix = self._options.prefix
        if prefix:
            self._writer.add(self._member(prefix, os.fstat(root), header.DIRECTORY, root))
        stack = [(os.dup(root), prefix, _names(root))]
        try:
            while stack:
                directory, prefix, names = stack[-1]
                if not names:
                    stack.pop()
                    os.close(directory)
                    continue
                name = names.pop()
                opened = self.add(directory, name, prefix + name)
                if opened is not None:
                    stack.append((opened, prefix + name + b"/", _names(opened)))
                    if len(stack) > _DEEPEST:
                        raise OSError(
                            errno.ENAMETOOLONG, "directories are nested too deeply", os.fsdecode(name)
                        )
        finally:
            for directory, _, _ in stack:
                os.close(directory)

    def add(self, directory: int, name: bytes, path: bytes) -> int | None:
        """Write one member; return an open descriptor when it is a directory to go into."""
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFREG:
                self._file(directory, name, path, status)
            elif kind == stat.S_IFDIR:
                return self._directory(directory, name, path)
            elif self._options.overlay and whiteouts.is_whiteout(status):
                self._white_out(path)
            elif kind in _TYPES:
                self._special(directory, name, path, status, _TYPES[kind])
            else:
                self._options.skipped.append(path)
        except FileNotFoundError:
            # It went away between the listing and now.
            pass
        return None

    def _directory(self, directory: int, name: bytes, path: bytes) -> int:
        opened = os.open(name, _DIRECTORY, dir_fd=directory)
        try:
            member = self._member(path + b"/", os.fstat(opened), header.DIRECTORY, opened)
            self._writer.add(member)
            if self._options.overlay and self._is_opaque(opened):
                self._writer.add(Member(path + b"/" + whiteouts.OPAQUE, header.REGULAR, mode=0o600))
        except BaseException:
            os.close(opened)
            raise
        return opened

    def _is_opaque(self, fd: int) -> bool:
        try:
            return os.getxattr(fd, self._opaque) == b"y"
        except OSError:
            return False

    def _white_out(self, path: bytes) -> None:
        head, slash, base = path.rpartition(b"/")
        self._writer.add(Member(head + slash + whiteouts.PREFIX + base, header.REGULAR, mode=0o600))

    def _file(self, directory: int, name: bytes, path: bytes, status: os.stat_result) -> None:
        if self._options.overlay and name.startswith(whiteouts.PREFIX):
            # In a layer that name would delete something.
            self._options.skipped.append(path)
            return
        if status.st_nlink > 1 and self._linked(path, status):
            return
        fd = os.open(name, _FILE, dir_fd=directory)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                # Swapped for a device or a pipe since it was looked at.
                return
            member = self._member(path, status, header.REGULAR, fd)
            member.size = size = status.st_size
            writer = self._writer
            writer.begin(member)
            while size > 0:
                piece = os.read(fd, min(size, _PIECE))
                if not piece:
                    break
                size -= len(piece)
                writer.data(piece)
            writer.end(member)
        finally:
            os.close(fd)

    def _linked(self, path: bytes, status: os.stat_result) -> bool:
        """Write a hard link to a file that is in the archive already."""
        key = (status.st_dev, status.st_ino)
        first = self._links.setdefault(key, path)
        if first is path:
            return False
        member = self._member(path, status, header.HARDLINK, None)
        member.link = first
        self._writer.add(member)
        return True

    def _special(
        self, directory: int, name: bytes, path: bytes, status: os.stat_result, type_: bytes
    ) -> None:
        member = self._member(path, status, type_, None)
        if type_ == header.SYMLINK:
            member.link = os.readlink(name, dir_fd=directory)
        elif type_ != header.FIFO:
            member.major, member.minor = os.major(status.st_rdev), os.minor(status.st_rdev)
        self._writer.add(member)

    def _member(self, name: bytes, status: os.stat_result, type_: bytes, fd: int | None) -> Member:
        options = self._options
        uid, gid, mtime = status.st_uid, status.st_gid, status.st_mtime_ns
        if options.owner is not None:
            uid, gid = options.owner(uid, gid)
        if options.latest is not None and mtime > options.latest:
            mtime = options.latest
        xattrs = self._xattrs(fd) if fd is not None and options.xattrs else None
        mode = status.st_mode & 0o7777
        return Member(name, type_, mode=mode, uid=uid, gid=gid, mtime=mtime, xattrs=xattrs)

    @staticmethod
    def _xattrs(fd: int) -> dict[bytes, bytes] | None:
        try:
            names = os.listxattr(fd)
            if not names:
                return None
            return {
                os.fsencode(name): os.getxattr(fd, name)
                for name in names
                if not name.startswith(_SKIPPED_XATTRS)
            }
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENODATA):
                raise
            return None


def _names(directory: int) -> list[bytes]:
    """Return the names in a directory, last first, to be popped in order."""
    return sorted(map(os.fsencode, os.listdir(directory)), reverse=True)
