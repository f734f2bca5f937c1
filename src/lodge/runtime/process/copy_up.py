"""Copying a directory tree between two directory descriptors, inside one mount namespace.

For fresh volumes and tmpfs (tmpcopyup), which begin with what the image has at their place. Nothing follows
a link: names are opened relative to their directory, one step at a time. Owner, mode, times, extended
attributes, hard links, links, devices, FIFOs and sockets are kept; holes stay holes where the kernel can
tell.
"""

from __future__ import annotations

import errno
import os
import stat

_READ_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAKE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 24

# inode of a file with several names -> (directory descriptor path, name) of its first copy
_Links = dict[tuple[int, int], tuple[str, ...]]


def is_empty(directory: int) -> bool:
    """Whether a directory has no entry."""
    with os.scandir(directory) as entries:
        return next(entries, None) is None


def copy_tree(source: int, target: int) -> None:
    """Copy everything in `source` into `target`, and the top's own owner, mode, times and attributes."""
    _copy_directory(source, target, (), target, {})


def _copy_directory(source: int, target: int, path: tuple[str, ...], top: int, links: _Links) -> None:
    with os.scandir(source) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        info = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            _copy_subdirectory(source, target, (*path, name), top, links)
        else:
            _copy_entry(source, target, (*path, name), info, top, links)
    _copy_attributes(source, target)
    info = os.fstat(source)
    os.fchown(target, info.st_uid, info.st_gid)
    os.fchmod(target, stat.S_IMODE(info.st_mode))
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))


def _copy_subdirectory(source: int, target: int, path: tuple[str, ...], top: int, links: _Links) -> None:
    name = path[-1]
    below = os.open(name, _READ_DIRECTORY, dir_fd=source)
    try:
        os.mkdir(name, 0o700, dir_fd=target)
        copy = os.open(name, _READ_DIRECTORY, dir_fd=target)
        try:
            _copy_directory(below, copy, path, top, links)
        finally:
            os.close(copy)
    finally:
        os.close(below)


def _copy_entry(
    source: int, target: int, path: tuple[str, ...], info: os.stat_result, top: int, links: _Links
) -> None:
    name = path[-1]
    if info.st_nlink > 1:
        first = links.setdefault((info.st_dev, info.st_ino), path)
        if first is not path:
            os.link("/".join(first), name, src_dir_fd=top, dst_dir_fd=target, follow_symlinks=False)
            return
    if stat.S_ISREG(info.st_mode):
        _copy_file(source, target, name, info)
        return
    if stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    else:
        os.mknod(name, info.st_mode, info.st_rdev, dir_fd=target)
    os.chown(name, info.st_uid, info.st_gid, dir_fd=target, follow_symlinks=False)
    os.utime(name, ns=(info.st_atime_ns, info.st_mtime_ns), dir_fd=target, follow_symlinks=False)


def _copy_file(source: int, target: int, name: str, info: os.stat_result) -> None:
    reader = os.open(name, _READ_FILE, dir_fd=source)
    try:
        writer = os.open(name, _MAKE_FILE, 0o600, dir_fd=target)
        try:
            _copy_data(reader, writer, info.st_size)
            os.fchown(writer, info.st_uid, info.st_gid)
            os.fchmod(writer, stat.S_IMODE(info.st_mode))
            _copy_attributes(reader, writer)
            os.utime(writer, ns=(info.st_atime_ns, info.st_mtime_ns))
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_data(reader: int, writer: int, size: int) -> None:
    """Copy the parts that hold data; the file's length covers the holes."""
    os.ftruncate(writer, size)
    offset = 0
    while offset < size:
        try:
            begin = os.lseek(reader, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        end = os.lseek(reader, begin, os.SEEK_HOLE)
        os.lseek(reader, begin, os.SEEK_SET)
        os.lseek(writer, begin, os.SEEK_SET)
        while begin < end:
            sent = os.sendfile(writer, reader, None, min(_CHUNK, end - begin))
            if sent == 0:  # it was cut short meanwhile
                return
            begin += sent
        offset = end


def _copy_attributes(source: int, target: int) -> None:
    """Extended attributes; a target that has none of a kind (ENOTSUP) goes without."""
    try:
        names = os.listxattr(source)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return
        raise
    for name in names:
        if name.startswith(("trusted.overlay.", "user.overlay.")):
            continue
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise
