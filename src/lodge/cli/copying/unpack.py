"""A tar stream from a container onto this machine, confined to one directory by file descriptors.

A container is free to write any name and link into the archive, and to make a link and then a file "below"
it. So every directory on the way is opened with O_NOFOLLOW from its parent's descriptor, ".." is refused, and
whatever stands in the way of a file is removed, never written through (CVE-2018-15664 and its kin).
"""

from __future__ import annotations

import os
import stat
import tarfile

from lodge.client.attach import write_all
from lodge.errors import Corrupt, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from lodge.cli.copying.members import Members

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Unpacker:
    """Unpacks members below `directory`; `keep_owner` sets uid and gid as the archive has them (root)."""

    def __init__(self, directory: str, *, keep_owner: bool = False) -> None:
        self._root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._keep_owner = keep_owner
        self._late: list[tuple[list[str], tarfile.TarInfo]] = []
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def unpack(self, members: Members, root: str, name: str) -> None:
        """All members; the archive's top directory `root` becomes `name`, "." unpacks right here."""
        for member in members:
            self._member(members, member, _parts(member.name, root, name), root, name)
        for parts, member in reversed(self._late):  # the inner ones first: making files changes a time
            self._finish_directory(parts, member)

    def _member(
        self, members: Members, member: tarfile.TarInfo, parts: list[str], root: str, name: str
    ) -> None:
        if not parts:
            return
        parent = self._open_parent(parts)
        leaf = parts[-1]
        try:
            if member.isdir():
                self._make_directory(parent, leaf)
                self._late.append((parts, member))
                return
            _clear(parent, leaf)
            if member.isreg():
                self._write_file(members, member, parent, leaf)
            elif member.issym():
                os.symlink(member.linkname, leaf, dir_fd=parent)
                self._own(member, leaf, parent)
            elif member.islnk():
                self._link(_parts(member.linkname, root, name), parent, leaf)
            elif member.isfifo():
                os.mkfifo(leaf, member.mode, dir_fd=parent)
            elif member.ischr() or member.isblk():
                kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
                device = os.makedev(member.devmajor, member.devminor)
                os.mknod(leaf, member.mode | kind, device, dir_fd=parent)
        finally:
            os.close(parent)

    def _open_parent(self, parts: list[str]) -> int:
        current = os.dup(self._root)
        for part in parts[:-1]:
            try:
                try:
                    inner = os.open(part, _DIRECTORY, dir_fd=current)
                except FileNotFoundError:
                    os.mkdir(part, 0o755, dir_fd=current)
                    inner = os.open(part, _DIRECTORY, dir_fd=current)
            except OSError as error:
                error.filename = "/".join(parts)
                raise
            finally:
                os.close(current)
            current = inner
        return current

    def _make_directory(self, parent: int, leaf: str) -> None:
        try:
            os.mkdir(leaf, 0o700, dir_fd=parent)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(leaf, dir_fd=parent, follow_symlinks=False).st_mode):
                raise InvalidArgument(f"cannot overwrite non-directory {leaf!r} with a directory") from None

    def _write_file(self, members: Members, member: tarfile.TarInfo, parent: int, leaf: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(leaf, flags, 0o600, dir_fd=parent)
        try:
            for piece in members.content():
                write_all(descriptor, piece)
            if self._keep_owner:
                os.fchown(descriptor, member.uid, member.gid)
            os.fchmod(descriptor, member.mode & 0o7777)
            os.utime(descriptor, (member.mtime, member.mtime))
        finally:
            os.close(descriptor)
        self.size += member.size

    def _link(self, target: list[str], parent: int, leaf: str) -> None:
        if not target:
            raise Corrupt("a link in the archive leads outside of it")
        source = self._open_parent(target)
        try:
            os.link(target[-1], leaf, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)

    def _own(self, member: tarfile.TarInfo, leaf: str, parent: int) -> None:
        if self._keep_owner:
            os.chown(leaf, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)

    def _finish_directory(self, parts: list[str], member: tarfile.TarInfo) -> None:
        parent = self._open_parent(parts)
        try:
            descriptor = os.open(parts[-1], _DIRECTORY, dir_fd=parent)
        finally:
            os.close(parent)
        try:
            if self._keep_owner:
                os.fchown(descriptor, member.uid, member.gid)
            os.fchmod(descriptor, member.mode & 0o7777)
            os.utime(descriptor, (member.mtime, member.mtime))
        finally:
            os.close(descriptor)


def _parts(path: str, root: str, name: str) -> list[str]:
    """The components of a member's name below `name` instead of `root`; Corrupt for one that climbs."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Corrupt(f"the archive from the container leaves its directory: {path!r}")
    if root and parts and parts[0] == root:
        parts = parts[1:]
    return parts if name in ("", ".") else [name, *parts]


def _clear(parent: int, leaf: str) -> None:
    """Make room for what is not a directory; a directory that stands there is an error of the user's."""
    try:
        found = os.stat(leaf, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        raise InvalidArgument(f"cannot overwrite directory {leaf!r} with a file")
    os.unlink(leaf, dir_fd=parent)
