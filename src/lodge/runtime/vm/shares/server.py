"""Answering a machine's FUSE requests with the host's files: passthrough, by descriptors, never by paths.

A `Server` is one mount. The machine's kernel checks permissions (default_permissions); this side keeps to the
directories it was given: names are single entries, links are not followed, only regular files are opened.
Requests are hostile input: whatever is malformed is answered by EINVAL.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from lodge.runtime.vm.shares import words as w
from lodge.runtime.vm.shares.nodes import Nodes, checked
from lodge.runtime.vm.shares.steps import (
    Request,
    directory_entry,
    entries_of,
    link_to,
    now,
    reopen,
    signed,
    sized,
)
from lodge.runtime.vm.shares.words import Opcode

_OPEN_FLAGS = os.O_APPEND | os.O_TRUNC | os.O_SYNC | os.O_DSYNC | os.O_ACCMODE
_NOFOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_RENAME_NOREPLACE, _RENAME_EXCHANGE, _RENAME_WHITEOUT = 1, 2, 4
_WHITEOUT = os.makedev(0, 0)

Rename = Callable[[int, bytes, int, bytes, int], None]
"""renameat2(2): old directory, old name, new directory, new name, flags."""


class Server:
    """`exclusive` says that nobody else changes these files while the machine runs: it may keep all in mind.

    `seconds` is how long it may else believe what it was told. `rename` is renameat2(2). `devices` allows
    device nodes to be made, `most` is how many plain files may be held open.
    """

    def __init__(
        self,
        entries: Mapping[bytes, tuple[int, bool]],
        *,
        rename: Rename,
        exclusive: bool,
        devices: bool,
        most: int = 1000,
        seconds: float = 0.25,
    ) -> None:
        self._nodes = Nodes(entries, most)
        self._rename = rename
        self._exclusive = exclusive
        self._devices = devices
        valid = 1 << 30 if exclusive else int(seconds)
        self._valid = (valid, 0 if exclusive else int(seconds % 1 * 1e9))
        self._files: dict[int, int | list[bytes]] = {}
        self._next_file = 1

    def answer(self, message: bytes) -> bytes:
        """The answer to one message, b"" for one that wants none."""
        if len(message) < w.IN_HEADER.size:
            return b""
        length, opcode, unique, node, uid, gid, _, _, _ = w.IN_HEADER.unpack_from(message)
        action = self._actions.get(opcode)
        request = Request(node, uid, gid, message[w.IN_HEADER.size :])
        try:
            if length != len(message):
                raise OSError(errno.EINVAL, "the length is wrong")
            if action is None:
                raise OSError(errno.ENOSYS, "no such operation")
            body = action(self, request)
        except OSError as error:
            return self._refuse(opcode, unique, error.errno or errno.EIO)
        except (struct.error, ValueError, OverflowError):
            return self._refuse(opcode, unique, errno.EINVAL)
        if opcode in w.SILENT:
            return b""
        return w.OUT_HEADER.pack(w.OUT_HEADER.size + len(body), 0, unique) + body

    def _refuse(self, opcode: int, unique: int, number: int) -> bytes:
        if opcode in w.SILENT:
            return b""
        if number == errno.ENOENT and opcode == Opcode.LOOKUP and self._exclusive:
            # A negative entry that may be remembered.
            body = w.ENTRY.pack(0, 0, *self._valid[:1], 0, self._valid[1], 0) + bytes(w.ATTRIBUTES.size)
            return w.OUT_HEADER.pack(w.OUT_HEADER.size + len(body), 0, unique) + body
        return w.OUT_HEADER.pack(w.OUT_HEADER.size, -number, unique)

    def close(self) -> None:
        """Give all descriptors back."""
        for held in self._files.values():
            if isinstance(held, int):
                os.close(held)
        self._files.clear()
        self._nodes.close()

    # ---- the mount

    def _init(self, request: Request) -> bytes:
        major, _, readahead, offered = w.INIT_IN.unpack_from(request.body)
        if major < w.MAJOR:
            raise OSError(errno.EPROTO, "too old a kernel")
        wanted = w.ASYNC_READ | w.ATOMIC_O_TRUNC | w.BIG_WRITES | w.PARALLEL_DIROPS | w.MAX_PAGES
        wanted |= w.DO_READDIRPLUS | w.READDIRPLUS_AUTO | w.HANDLE_KILLPRIV
        wanted |= w.WRITEBACK_CACHE | w.CACHE_SYMLINKS if self._exclusive else w.AUTO_INVAL_DATA
        return w.INIT_OUT.pack(
            w.MAJOR,
            w.MINOR,
            readahead,
            wanted & offered,
            64,
            48,
            w.MOST_WRITE,
            1,
            w.MOST_PAGES,
            0,
            0,
        )

    def _statfs(self, request: Request) -> bytes:
        fd = self._nodes.descriptor(request.node)
        if fd < 0:
            return w.STATFS_OUT.pack(0, 0, 0, 0, 0, 4096, 255, 4096, 0)
        found = os.statvfs(link_to(fd))
        return w.STATFS_OUT.pack(
            found.f_blocks,
            found.f_bfree,
            found.f_bavail,
            found.f_files,
            found.f_ffree,
            found.f_bsize,
            found.f_namemax,
            found.f_frsize,
            0,
        )

    def _nothing(self, _request: Request) -> bytes:
        return b""

    # ---- entries

    def _entry(self, number: int, status: os.stat_result) -> bytes:
        seconds, rest = self._valid
        return w.ENTRY.pack(number, 0, seconds, seconds, rest, rest) + w.attributes(status)

    def _look_up(self, request: Request) -> bytes:
        [name] = request.names(0, 1)
        return self._entry(*self._nodes.look_up(request.node, name))

    def _forget(self, request: Request) -> bytes:
        self._nodes.forget(request.node, *w.FORGET_IN.unpack_from(request.body))
        return b""

    def _batch_forget(self, request: Request) -> bytes:
        count, _ = w.BATCH_FORGET_IN.unpack_from(request.body)
        rest = request.body[w.BATCH_FORGET_IN.size :][: count * w.FORGET_ONE.size]
        for number, lookups in w.FORGET_ONE.iter_unpack(rest[: len(rest) // 16 * 16]):
            self._nodes.forget(number, lookups)
        return b""

    def _made(self, request: Request, directory: int, name: bytes, mode: int | None) -> bytes:
        """The entry of something just made, now its owner's: as who asked, or of a directory's group."""
        gid = -1 if os.stat(link_to(directory)).st_mode & stat.S_ISGID else request.gid
        os.chown(name, request.uid, gid, dir_fd=directory, follow_symlinks=False)
        if mode is not None:
            # A change of owner takes set-user-id away.
            os.chmod(name, mode, dir_fd=directory)
        return self._entry(*self._nodes.look_up(request.node, name))

    def _make_node(self, request: Request) -> bytes:
        mode, device, _, _ = w.MKNOD_IN.unpack_from(request.body)
        name = checked(request.names(w.MKNOD_IN.size, 1)[0])
        directory = self._nodes.writable(request.node)
        number = os.makedev(device >> 8 & 0xFFF, device & 0xFF | device >> 12 & 0xFFF00)
        plain = stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        whiteout = stat.S_ISCHR(mode) and number == _WHITEOUT
        if not (plain or whiteout or self._devices):
            raise OSError(errno.EPERM, "no device nodes in what belongs to the host")
        os.mknod(name, mode, number, dir_fd=directory)
        return self._made(request, directory, name, stat.S_IMODE(mode))

    def _make_directory(self, request: Request) -> bytes:
        mode, _ = w.MKDIR_IN.unpack_from(request.body)
        name = checked(request.names(w.MKDIR_IN.size, 1)[0])
        directory = self._nodes.writable(request.node)
        os.mkdir(name, 0o700, dir_fd=directory)
        if os.stat(link_to(directory)).st_mode & stat.S_ISGID:
            mode |= stat.S_ISGID
        return self._made(request, directory, name, stat.S_IMODE(mode))

    def _make_link(self, request: Request) -> bytes:
        name, target = request.names(0, 2)
        directory = self._nodes.writable(request.node)
        os.symlink(target, checked(name), dir_fd=directory)
        return self._made(request, directory, name, None)

    def _hard_link(self, request: Request) -> bytes:
        [number] = w.LINK_IN.unpack_from(request.body)
        name = checked(request.names(w.LINK_IN.size, 1)[0])
        # A file has the rights of the share by which it was found.
        held = self._nodes.writable(number)
        directory = self._nodes.writable(request.node)
        # SAFETY: the magic link leads to the very file that is held, also when that is a symbolic link.
        os.link(link_to(held), name, dst_dir_fd=directory, follow_symlinks=True)
        return self._entry(*self._nodes.look_up(request.node, name))

    def _unlink(self, request: Request) -> bytes:
        name, directory = checked(request.names(0, 1)[0]), self._nodes.writable(request.node)
        self._nodes.keep(directory, name)
        os.unlink(name, dir_fd=directory)
        return b""

    def _remove_directory(self, request: Request) -> bytes:
        os.rmdir(checked(request.names(0, 1)[0]), dir_fd=self._nodes.writable(request.node))
        return b""

    def _rename_entry(self, request: Request) -> bytes:
        [target] = w.RENAME_IN.unpack_from(request.body)
        return self._move(request, target, 0, w.RENAME_IN.size)

    def _rename_with_flags(self, request: Request) -> bytes:
        target, flags, _ = w.RENAME2_IN.unpack_from(request.body)
        if flags & ~(_RENAME_NOREPLACE | _RENAME_EXCHANGE | _RENAME_WHITEOUT):
            raise OSError(errno.EINVAL, "unknown flags")
        return self._move(request, target, flags, w.RENAME2_IN.size)

    def _move(self, request: Request, target: int, flags: int, offset: int) -> bytes:
        old, new = request.names(offset, 2)
        source, destination = self._nodes.writable(request.node), self._nodes.writable(target)
        self._nodes.keep(destination, checked(new))
        self._rename(source, checked(old), destination, new, flags)
        self._nodes.moved(target, new)
        if flags & _RENAME_EXCHANGE:
            self._nodes.moved(request.node, old)
        return b""

    def _read_link(self, request: Request) -> bytes:
        return os.readlink(b"", dir_fd=self._nodes.directory(request.node))

    # ---- attributes

    def _status(self, number: int) -> os.stat_result:
        fd = self._nodes.descriptor(number)
        if fd >= 0:
            return os.fstat(fd)
        return os.stat_result((stat.S_IFDIR | 0o755, w.ROOT, 0, 2, 0, 0, 0, 0, 0, 0))

    def _attributes_out(self, number: int) -> bytes:
        seconds, rest = self._valid
        if number == w.ROOT:
            values = [w.ROOT, *[0] * 8, stat.S_IFDIR | 0o755, 2, 0, 0, 0, 4096, 0]
            return w.ATTRIBUTES_OUT.pack(seconds, rest, 0) + w.ATTRIBUTES.pack(*values)
        return w.ATTRIBUTES_OUT.pack(seconds, rest, 0) + w.attributes(self._status(number))

    def _get_attributes(self, request: Request) -> bytes:
        return self._attributes_out(request.node)

    def _set_attributes(self, request: Request) -> bytes:
        values = w.SETATTR_IN.unpack_from(request.body)
        valid, _, _, size, _, atime, mtime, _, atime_rest, mtime_rest, _, mode, _, uid, gid, _ = values
        fd = self._nodes.writable(request.node)
        path = link_to(fd)
        if valid & (w.SET_UID | w.SET_GID):
            os.chown(path, uid if valid & w.SET_UID else -1, gid if valid & w.SET_GID else -1)
        if valid & w.SET_MODE:
            os.chmod(path, stat.S_IMODE(mode))
        if valid & w.SET_SIZE:
            self._with_file(fd, os.O_WRONLY, lambda file: os.ftruncate(file, size))
        if valid & (w.SET_ATIME | w.SET_MTIME):
            status = os.fstat(fd)
            times = [status.st_atime_ns, status.st_mtime_ns]
            if valid & w.SET_ATIME:
                times[0] = now() if valid & w.SET_ATIME_NOW else signed(atime) * 10**9 + atime_rest
            if valid & w.SET_MTIME:
                times[1] = now() if valid & w.SET_MTIME_NOW else signed(mtime) * 10**9 + mtime_rest
            os.utime(path, ns=(times[0], times[1]))
        return self._attributes_out(request.node)

    def _with_file(self, fd: int, flags: int, act: Callable[[int], None]) -> None:
        file = reopen(fd, flags)
        try:
            act(file)
        finally:
            os.close(file)

    def _get_xattr(self, request: Request) -> bytes:
        size, _ = w.GETXATTR_IN.unpack_from(request.body)
        [name] = request.names(w.GETXATTR_IN.size, 1)
        return sized(os.getxattr(link_to(self._nodes.directory(request.node)), name), size)

    def _list_xattrs(self, request: Request) -> bytes:
        size, _ = w.GETXATTR_IN.unpack_from(request.body)
        found = os.listxattr(link_to(self._nodes.directory(request.node)))
        return sized(b"".join(os.fsencode(name) + b"\0" for name in found), size)

    def _set_xattr(self, request: Request) -> bytes:
        size, flags = w.SETXATTR_IN.unpack_from(request.body)
        [name] = request.names(w.SETXATTR_IN.size, 1)
        start = w.SETXATTR_IN.size + len(name) + 1
        value = request.body[start : start + size]
        if len(value) != size:
            raise OSError(errno.EINVAL, "a value without an end")
        os.setxattr(link_to(self._nodes.writable(request.node)), name, value, flags)
        return b""

    def _remove_xattr(self, request: Request) -> bytes:
        [name] = request.names(0, 1)
        os.removexattr(link_to(self._nodes.writable(request.node)), name)
        return b""

    # ---- files

    def _hold(self, held: int | list[bytes]) -> int:
        number = self._next_file
        self._next_file += 1
        self._files[number] = held
        return number

    def _file(self, number: int) -> int:
        held = self._files.get(number)
        if not isinstance(held, int):
            raise OSError(errno.EBADF, "no such open file")
        return held

    def _flags(self, flags: int) -> int:
        """What a machine may open a file with.

        A cache that writes back also has to read, and appends itself.
        """
        flags &= _OPEN_FLAGS
        if self._exclusive:
            flags &= ~os.O_APPEND
            if flags & os.O_ACCMODE == os.O_WRONLY:
                flags = flags & ~os.O_ACCMODE | os.O_RDWR
        return flags

    def _open(self, request: Request) -> bytes:
        flags = self._flags(w.OPEN_IN.unpack_from(request.body)[0])
        reads_only = flags & os.O_ACCMODE == os.O_RDONLY and not flags & os.O_TRUNC
        directory = self._nodes.directory if reads_only else self._nodes.writable
        file = reopen(directory(request.node), flags)
        return w.OPEN_OUT.pack(self._hold(file), w.KEEP_CACHE if self._exclusive else 0, 0)

    def _create(self, request: Request) -> bytes:
        flags, mode, _, _ = w.CREATE_IN.unpack_from(request.body)
        name = checked(request.names(w.CREATE_IN.size, 1)[0])
        directory = self._nodes.writable(request.node)
        wanted = self._flags(flags) | flags & os.O_EXCL | os.O_CREAT | _NOFOLLOW
        try:
            file = os.open(name, wanted | os.O_EXCL, 0o600, dir_fd=directory)
            entry = None
        except FileExistsError:
            if flags & os.O_EXCL:
                raise
            number, status = self._nodes.look_up(request.node, name)
            file = reopen(self._nodes.directory(number), self._flags(flags))
            entry = self._entry(number, status)
        if entry is None:
            entry = self._made(request, directory, name, stat.S_IMODE(mode))
        return entry + w.OPEN_OUT.pack(self._hold(file), w.KEEP_CACHE if self._exclusive else 0, 0)

    def _read(self, request: Request) -> bytes:
        number, offset, size, *_ = w.READ_IN.unpack_from(request.body)
        return os.pread(self._file(number), min(size, w.MOST_WRITE), offset)

    def _write(self, request: Request) -> bytes:
        number, offset, size, *_ = w.WRITE_IN.unpack_from(request.body)
        data = memoryview(request.body)[w.WRITE_IN.size :]
        if len(data) != size:
            raise OSError(errno.EINVAL, "the length is wrong")
        return w.WRITE_OUT.pack(os.pwrite(self._file(number), data, offset), 0)

    def _release(self, request: Request) -> bytes:
        held = self._files.pop(w.RELEASE_IN.unpack_from(request.body)[0], None)
        if isinstance(held, int):
            os.close(held)
        return b""

    def _sync(self, request: Request) -> bytes:
        os.fsync(self._file(w.FSYNC_IN.unpack_from(request.body)[0]))
        return b""

    def _allocate(self, request: Request) -> bytes:
        number, offset, length, mode, _ = w.FALLOCATE_IN.unpack_from(request.body)
        if mode:
            raise OSError(errno.EOPNOTSUPP, "holes are not punched here")
        os.posix_fallocate(self._file(number), offset, length)
        return b""

    def _seek(self, request: Request) -> bytes:
        number, offset, whence, _ = w.LSEEK_IN.unpack_from(request.body)
        if whence not in (os.SEEK_DATA, os.SEEK_HOLE):
            raise OSError(errno.EINVAL, "only data and holes are asked for here")
        return w.LSEEK_OUT.pack(os.lseek(self._file(number), offset, whence))

    # ---- directories

    def _open_directory(self, request: Request) -> bytes:
        fd = self._nodes.descriptor(request.node)
        names = self._nodes.names if fd < 0 else entries_of(fd)
        return w.OPEN_OUT.pack(self._hold([b".", b"..", *names]), 0, 0)

    def _read_directory(self, request: Request) -> bytes:
        return self._entries_of(request, self._plain_entry)

    def _read_directory_plus(self, request: Request) -> bytes:
        return self._entries_of(request, self._full_entry)

    def _entries_of(self, request: Request, form: Callable[[int, bytes, int], bytes]) -> bytes:
        number, offset, size, *_ = w.READ_IN.unpack_from(request.body)
        names = self._files.get(number)
        if not isinstance(names, list):
            raise OSError(errno.EBADF, "no such open directory")
        parts: list[bytes] = []
        room = min(size, w.MOST_WRITE)
        for index in range(offset, len(names)):
            name = names[index]
            if 152 + len(name) + 8 > room:
                break
            part = form(request.node, name, index + 1)
            parts.append(part)
            room -= len(part)
        return b"".join(parts)

    def _plain_entry(self, parent: int, name: bytes, following: int) -> bytes:
        inode, mode = 1, stat.S_IFDIR
        fd = self._nodes.descriptor(parent)
        if name not in (b".", b"..") and fd >= 0:
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                return b""
            inode, mode = status.st_ino, status.st_mode
        return directory_entry(inode, mode, name, following)

    def _full_entry(self, parent: int, name: bytes, following: int) -> bytes:
        if name in (b".", b".."):
            return bytes(w.ENTRY.size + w.ATTRIBUTES.size) + self._plain_entry(parent, name, following)
        try:
            number, status = self._nodes.look_up(parent, name)
        except FileNotFoundError:
            return b""
        return self._entry(number, status) + directory_entry(status.st_ino, status.st_mode, name, following)

    _actions: ClassVar[dict[int, Callable[[Any, Request], bytes]]] = {
        Opcode.LOOKUP: _look_up,
        Opcode.FORGET: _forget,
        Opcode.GETATTR: _get_attributes,
        Opcode.SETATTR: _set_attributes,
        Opcode.READLINK: _read_link,
        Opcode.SYMLINK: _make_link,
        Opcode.MKNOD: _make_node,
        Opcode.MKDIR: _make_directory,
        Opcode.UNLINK: _unlink,
        Opcode.RMDIR: _remove_directory,
        Opcode.RENAME: _rename_entry,
        Opcode.LINK: _hard_link,
        Opcode.OPEN: _open,
        Opcode.READ: _read,
        Opcode.WRITE: _write,
        Opcode.STATFS: _statfs,
        Opcode.RELEASE: _release,
        Opcode.FSYNC: _sync,
        Opcode.SETXATTR: _set_xattr,
        Opcode.GETXATTR: _get_xattr,
        Opcode.LISTXATTR: _list_xattrs,
        Opcode.REMOVEXATTR: _remove_xattr,
        Opcode.INIT: _init,
        Opcode.OPENDIR: _open_directory,
        Opcode.READDIR: _read_directory,
        Opcode.RELEASEDIR: _release,
        Opcode.FSYNCDIR: _nothing,
        Opcode.CREATE: _create,
        Opcode.INTERRUPT: _nothing,
        Opcode.DESTROY: _nothing,
        Opcode.BATCH_FORGET: _batch_forget,
        Opcode.FALLOCATE: _allocate,
        Opcode.READDIRPLUS: _read_directory_plus,
        Opcode.RENAME2: _rename_with_flags,
        Opcode.LSEEK: _seek,
    }
