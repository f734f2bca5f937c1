"""What a layer's tar leaves out and the layers below know.

A tar may name `usr/bin/x` and not `usr`: then `usr` must look as it did below, or the overlay would show
the attributes of a directory that was made for want of another. And a hard link may point to a file of a
layer below.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from lodge.archive.beneath import Beneath
from lodge.archive.extract import Extracted
from lodge.errors import Corrupt
from lodge.store.merged import Found, Merged

_PIECE: Final = 1 << 30


def complete(root: int, extracted: Extracted, below: Merged) -> None:
    """Complete a freshly unpacked layer, given by the descriptor of its directory. Raises Corrupt.

    What the layers hold comes from strangers; every path is walked by descriptors on both sides.
    """
    with Beneath(root) as beneath:
        implicit = extracted.implicit if extracted.names_root else [*extracted.implicit, b""]
        for path in implicit:
            found = below.find(path)
            if found is not None and found.is_directory:
                try:
                    copy_attributes(found, beneath.directory(path))
                except (FileNotFoundError, NotADirectoryError):
                    # A later member of the archive has replaced it.
                    continue
        for path, target in extracted.missing_links:
            found = below.find(target)
            if found is None or found.is_directory:
                raise Corrupt(
                    f"invalid hardlink {os.fsdecode(path)!r} -> {os.fsdecode(target)!r}: no such file"
                )
            parent, base = beneath.parent(path, create=True)
            copy_node(found, parent, base)


def copy_attributes(found: Found, target: int) -> None:
    """Give the thing behind a descriptor, O_PATH or not, the owner, mode, xattrs and times of another."""
    status = found.status
    place = b"/proc/self/fd/%d" % target
    source = b"/proc/self/fd/%d/%b" % (found.directory, found.name)
    os.chown(place, status.st_uid, status.st_gid)
    os.chmod(place, stat.S_IMODE(status.st_mode))
    copy_xattrs(source, place, follow_target=True)
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))


def copy_xattrs(source: bytes, place: bytes, *, follow_target: bool = False) -> None:
    """Copy all xattrs but overlay's own. `place` ends in a name not to be followed, or in a descriptor."""
    for name in os.listxattr(source, follow_symlinks=False):
        if not name.startswith(("trusted.overlay.", "user.overlay.")):
            value = os.getxattr(source, name, follow_symlinks=False)
            os.setxattr(place, name, value, follow_symlinks=follow_target)


def copy_node(found: Found, parent: int, base: bytes) -> None:
    """Copy one thing that is no directory, with its attributes. What is there already is an OSError."""
    status, kind = found.status, stat.S_IFMT(found.status.st_mode)
    source = b"/proc/self/fd/%d/%b" % (found.directory, found.name)
    place = b"/proc/self/fd/%d/%b" % (parent, base)
    if kind == stat.S_IFREG:
        _copy_data(found, parent, base)
    elif kind == stat.S_IFLNK:
        os.symlink(os.readlink(found.name, dir_fd=found.directory), base, dir_fd=parent)
    else:
        os.mknod(base, status.st_mode, status.st_rdev, dir_fd=parent)
    os.chown(base, status.st_uid, status.st_gid, dir_fd=parent, follow_symlinks=False)
    copy_xattrs(source, place)
    if kind != stat.S_IFLNK:
        # SAFETY: `base` was made by us a moment ago, in a directory that nobody else writes to.
        os.chmod(place, stat.S_IMODE(status.st_mode))
    os.utime(base, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=parent, follow_symlinks=False)


def _copy_data(found: Found, parent: int, base: bytes) -> None:
    """Copy the bytes inside the kernel, where the file system can by sharing the blocks; holes stay holes."""
    source = os.open(found.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=found.directory)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(base, flags, 0o600, dir_fd=parent)
        try:
            size = os.fstat(source).st_size
            os.ftruncate(target, size)
            offset = 0
            while offset < size:
                try:
                    start = os.lseek(source, offset, os.SEEK_DATA)
                except OSError:
                    break
                offset = os.lseek(source, start, os.SEEK_HOLE)
                _copy_range(source, target, start, offset)
        finally:
            os.close(target)
    finally:
        os.close(source)


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        count = os.copy_file_range(source, target, min(end - start, _PIECE), start, start)
        if not count:
            return
        start += count
