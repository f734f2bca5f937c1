"""Members of a tar archive become files below a directory descriptor.

Whatever an archive says, nothing outside of that directory is read or written: names are cleaned, parents are
opened by `beneath`, files are made with O_EXCL and O_NOFOLLOW. Existing things are replaced, except that a
directory over a directory only changes its attributes (image-spec, layer.md, "Applying Changesets").
It goes at the pace of GNU tar: about five system calls a file, none per component. Nothing is synced.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from lodge.archive import header, whiteouts
from lodge.archive.beneath import Beneath, clean
from lodge.archive.header import Member
from lodge.archive.reader import TarReader
from lodge.archive.removal import remove_tree
from lodge.archive.source import Readable
from lodge.archive.whiteouts import OverlayWhiteouts
from lodge.errors import Conflict, Corrupt, Exhausted

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SPECIAL_BITS: Final = 0o7000
_TOLERATED: Final = frozenset((errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL))
_REFUSED_XATTRS: Final = (b"trusted.overlay.", b"user.overlay.")
_LINK_FARM: Final = b".wh..wh.plnk"
Owner = tuple[int, int]


class Options(Struct):
    """What an extraction may do, and its limits.

    `whiteouts` None takes `.wh.` names literally. `owner` maps the archive's uid and gid to those on disk.
    `devices` False leaves device nodes out (user namespaces can't make them), with a warning. With
    `keep_kinds` a directory never replaces something else, nor the other way round (Docker's
    noOverwriteDirNonDir). `layer` says that the archive is a layer: a member "." sets the attributes of the
    root, which is left as it is otherwise, and hard links may point to files that lie in a layer below.
    """

    whiteouts: OverlayWhiteouts | None = None
    owner: Callable[[int, int], Owner] | None = None
    devices: bool = True
    keep_kinds: bool = False
    layer: bool = False
    most_bytes: int = 1 << 50
    most_members: int = 1 << 32


class Extracted(Struct):
    """What came of it: members and bytes of files; and what only the layers below can complete.

    `implicit` are directories made only because something lies in them; `missing_links` (path, target) are
    hard links whose target is not in this archive (only with `Options.layer`).
    """

    members: int = 0
    size: int = 0
    implicit: list[bytes] = []
    missing_links: list[tuple[bytes, bytes]] = []
    warnings: list[str] = []
    names_root: bool = False


def extract(archive: Readable | TarReader, root: int, options: Options | None = None) -> Extracted:
    """Extract all of `archive` below the directory descriptor `root`; the stream is read to its end.

    Not atomic: what was made stays when it fails. Raises Corrupt (a bad archive, also one that tries to leave
    its root), Exhausted (over a limit of the options), Conflict (`keep_kinds`), OSError (the disk).
    """
    reader = archive if isinstance(archive, TarReader) else TarReader(archive)
    with Beneath(root) as beneath:
        work = _Extraction(reader, beneath, options or Options())
        work.run()
        reader.source.drain()
        return work.result


class _Extraction:
    """One run over one archive."""

    def __init__(self, reader: TarReader, beneath: Beneath, options: Options) -> None:
        self.result = Extracted(implicit=beneath.created)
        self._reader = reader
        self._beneath = beneath
        self._options = options
        self._owner: Owner = (os.geteuid(), os.getegid())
        self._umask = _umask()
        self._directories: dict[bytes, Member] = {}
        self._makers: dict[bytes, Callable[[Member, int, bytes, bytes], None]] = {
            header.REGULAR: self._file,
            header.DIRECTORY: self._directory,
            header.SYMLINK: self._symlink,
            header.HARDLINK: self._hardlink,
            header.CHARACTER: self._device,
            header.BLOCK_DEVICE: self._device,
            header.FIFO: self._fifo,
        }

    def run(self) -> None:
        """Make every member, then set what must come last: modes and times of directories."""
        result, options = self.result, self._options
        layer = options.whiteouts
        for member in self._reader:
            result.members += 1
            result.size += member.real_size
            if result.members > options.most_members or result.size > options.most_bytes:
                raise Exhausted("the archive is larger than the limit for its unpacked content")
            path = clean(member.name)
            if not path:
                self._root(member)
                continue
            parent, base = self._beneath.parent(path, create=True)
            if (
                layer is not None
                and base.startswith(whiteouts.PREFIX)
                and self._whiteout(layer, parent, base)
            ):
                continue
            if options.owner is not None:
                member.uid, member.gid = options.owner(member.uid, member.gid)
            make = self._makers.get(member.type)
            if make is None:
                raise Corrupt(f"unhandled tar header type {member.type!r} of {_show(path)}")
            make(member, parent, base, path)
        self._finish()
        if layer is not None:
            # SAFETY: one fixed name in the root's own descriptor; what it held was linked from elsewhere.
            remove_tree(_LINK_FARM, self._beneath.root)

    def _whiteout(self, layer: OverlayWhiteouts, parent: int, base: bytes) -> bool:
        if base == whiteouts.OPAQUE:
            layer.make_opaque(parent)
            return True
        if base.startswith(whiteouts.META):
            # AUFS's own bookkeeping; its farm of hard links is made like any directory, and goes at the end.
            return base != _LINK_FARM
        hidden = whiteouts.split(base)
        if hidden is None:
            return False
        layer.white_out(parent, hidden)
        return True

    def _root(self, member: Member) -> None:
        if member.type == header.DIRECTORY and self._options.layer:
            self.result.names_root = True
            if self._options.owner is not None:
                member.uid, member.gid = self._options.owner(member.uid, member.gid)
            fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._beneath.root)
            try:
                os.fchown(fd, member.uid, member.gid)
                os.fchmod(fd, member.mode)
                self._set_xattrs(fd, member)
            finally:
                os.close(fd)
            self._directories[b""] = member

    def _file(self, member: Member, parent: int, base: bytes, path: bytes) -> None:
        mode = member.mode
        try:
            fd = os.open(base, _CREATE, mode & 0o777, dir_fd=parent)
        except FileExistsError:
            parent = self._clear(parent, base, path, directory=False)
            fd = os.open(base, _CREATE, mode & 0o777, dir_fd=parent)
        try:
            if member.sparse is not None:
                self._write_sparse(fd, member)
            elif member.size:
                for piece in self._reader.pieces():
                    _write(fd, piece)
            if (member.uid, member.gid) != self._owner:
                os.fchown(fd, member.uid, member.gid)
            if mode & (self._umask | _SPECIAL_BITS):
                os.fchmod(fd, mode)
            if member.xattrs:
                self._set_xattrs(fd, member)
            os.utime(fd, ns=(member.mtime, member.mtime))
        finally:
            os.close(fd)

    def _write_sparse(self, fd: int, member: Member) -> None:
        os.ftruncate(fd, member.real_size)
        segments = iter(member.sparse or ())
        offset = left = 0
        for piece in self._reader.pieces():
            view = memoryview(piece)
            while view:
                while not left:
                    offset, left = next(segments)
                length = min(left, len(view))
                done = os.pwrite(fd, view[:length], offset)
                view = view[done:]
                offset, left = offset + done, left - done

    def _directory(self, member: Member, parent: int, base: bytes, path: bytes) -> None:
        mode = member.mode
        fresh = True
        try:
            os.mkdir(base, mode & 0o777 | 0o700, dir_fd=parent)
        except FileExistsError:
            status = os.stat(base, dir_fd=parent, follow_symlinks=False)
            fresh = not stat.S_ISDIR(status.st_mode)
            if fresh:
                parent = self._clear(parent, base, path, directory=True)
                os.mkdir(base, mode & 0o777 | 0o700, dir_fd=parent)
                if self._options.whiteouts is not None:
                    self._options.whiteouts.replaced(parent, base, status)
        self._directories[path] = member
        plain = fresh and not member.xattrs and (member.uid, member.gid) == self._owner
        if plain and not mode & (self._umask | _SPECIAL_BITS) and mode & 0o700 == 0o700:
            return
        fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            os.fchown(fd, member.uid, member.gid)
            os.fchmod(fd, mode | 0o700)
            self._set_xattrs(fd, member)
        finally:
            os.close(fd)

    def _symlink(self, member: Member, parent: int, base: bytes, path: bytes) -> None:
        if not member.link or b"\0" in member.link:
            raise Corrupt(f"the archive has a symbolic link without a target: {_show(path)}")
        try:
            os.symlink(member.link, base, dir_fd=parent)
        except FileExistsError:
            parent = self._clear(parent, base, path, directory=False)
            os.symlink(member.link, base, dir_fd=parent)
        self._set_attributes(member, parent, base)

    def _hardlink(self, member: Member, parent: int, base: bytes, path: bytes) -> None:
        target = clean(member.link)
        if not target:
            raise Corrupt(f"the archive has a hard link without a target: {_show(path)}")
        if target == path:
            return
        here = os.dup(parent)
        try:
            there, name = self._beneath.parent(target)
            try:
                os.link(name, base, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)
            except FileExistsError:
                os.stat(name, dir_fd=there, follow_symlinks=False)
                self._clear(here, base, path, directory=False)
                there, name = self._beneath.parent(target)
                os.link(name, base, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)
        except FileNotFoundError:
            if not self._options.layer:
                raise Corrupt(
                    f"invalid hardlink {_show(path)} -> {_show(member.link)}: no such file in the archive"
                ) from None
            self.result.missing_links.append((path, target))
        finally:
            os.close(here)

    def _device(self, member: Member, parent: int, base: bytes, path: bytes) -> None:
        if not self._options.devices:
            self.result.warnings.append(f"{os.fsdecode(path)}: device node left out")
            return
        kind = stat.S_IFCHR if member.type == header.CHARACTER else stat.S_IFBLK
        self._node(member, parent, base, path, kind)

    def _fifo(self, member: Member, parent: int, base: bytes, path: bytes) -> None:
        self._node(member, parent, base, path, stat.S_IFIFO)

    def _node(self, member: Member, parent: int, base: bytes, path: bytes, kind: int) -> None:
        device = os.makedev(member.major, member.minor) if kind != stat.S_IFIFO else 0
        try:
            os.mknod(base, kind | member.mode & 0o777, device, dir_fd=parent)
        except FileExistsError:
            parent = self._clear(parent, base, path, directory=False)
            os.mknod(base, kind | member.mode & 0o777, device, dir_fd=parent)
        self._set_attributes(member, parent, base)
        if member.mode & (self._umask | _SPECIAL_BITS):
            # Opening a device or a fifo does things; the magic link of an O_PATH descriptor does not.
            handle = os.open(base, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                os.chmod(f"/proc/self/fd/{handle}", member.mode)
            finally:
                os.close(handle)

    def _set_attributes(self, member: Member, parent: int, base: bytes) -> None:
        if (member.uid, member.gid) != self._owner:
            os.chown(base, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
        if member.xattrs:
            self._set_xattrs(b"/proc/self/fd/%d/%b" % (parent, base), member)
        os.utime(base, ns=(member.mtime, member.mtime), dir_fd=parent, follow_symlinks=False)

    def _set_xattrs(self, target: int | bytes, member: Member) -> None:
        for key, value in (member.xattrs or {}).items():
            if key.startswith(_REFUSED_XATTRS):
                raise Corrupt(
                    f"{_show(member.name)} has the extended attribute {_show(key)}, which is refused"
                )
            try:
                if isinstance(target, int):
                    os.setxattr(target, key, value)
                else:
                    os.setxattr(target, key, value, follow_symlinks=False)
            except (OSError, ValueError) as error:
                if isinstance(error, OSError) and error.errno not in _TOLERATED:
                    raise
                self.result.warnings.append(
                    f"{os.fsdecode(member.name)}: {os.fsdecode(key)} not set: {error}"
                )

    def _clear(self, parent: int, base: bytes, path: bytes, *, directory: bool) -> int:
        """Remove what stands in the way; return the parent again, which may have been closed by `forget`."""
        status = os.stat(base, dir_fd=parent, follow_symlinks=False)
        is_directory = stat.S_ISDIR(status.st_mode)
        if self._options.keep_kinds and is_directory != directory:
            if is_directory:
                raise Conflict(f"cannot overwrite directory {_show(path)} with non-directory")
            raise Conflict(f"cannot overwrite non-directory {_show(path)} with directory")
        # SAFETY: `base` is one component, in a directory that was reached by descriptors from the root only.
        remove_tree(base, parent)
        if not (is_directory or stat.S_ISLNK(status.st_mode)):
            return parent
        self._beneath.forget()
        return self._beneath.parent(path, create=True)[0]

    def _finish(self) -> None:
        """Set what files made later would have changed: times, and modes that forbid us to write."""
        for path in sorted(self._directories, reverse=True):
            member = self._directories[path]
            times = (member.mtime, member.mtime)
            if not path:
                os.utime(".", ns=times, dir_fd=self._beneath.root)
                continue
            try:
                parent, base = self._beneath.parent(path)
                if member.mode & 0o700 != 0o700:
                    fd = os.open(
                        base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent
                    )
                    try:
                        os.fchmod(fd, member.mode)
                    finally:
                        os.close(fd)
                os.utime(base, ns=times, dir_fd=parent, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                # A later member has replaced it.
                continue


def _show(name: bytes) -> str:
    return repr(os.fsdecode(name))


def _write(fd: int, piece: bytes | memoryview) -> None:
    done = os.write(fd, piece)
    while done < len(piece):
        piece = memoryview(piece)[done:]
        done = os.write(fd, piece)


def _umask() -> int:
    """Return the umask without changing it, which other threads would notice (proc(5), Linux 4.7)."""
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"Umask:"):
                return int(line[6:], 8)
    return 0o777
