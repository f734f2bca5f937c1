"""The words of FUSE that are needed here: numbers and layouts of <linux/fuse.h>, version 7.31. Pure."""

from __future__ import annotations

import os
import struct
from enum import IntEnum

MAJOR, MINOR = 7, 31
ROOT = 1
"""The node id of a mount's root."""
MOST_WRITE = 1 << 20
MOST_PAGES = 256
LONGEST_MESSAGE = MOST_WRITE + 4096

IN_HEADER = struct.Struct("<IIQQIIIHH")
OUT_HEADER = struct.Struct("<IiQ")
ATTRIBUTES = struct.Struct("<QQQQQQIIIIIIIIII")
ENTRY = struct.Struct("<QQQQII")
ATTRIBUTES_OUT = struct.Struct("<QII")
INIT_IN = struct.Struct("<IIII")
INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
OPEN_IN = struct.Struct("<II")
OPEN_OUT = struct.Struct("<QII")
CREATE_IN = struct.Struct("<IIII")
MKNOD_IN = struct.Struct("<IIII")
MKDIR_IN = struct.Struct("<II")
RENAME_IN = struct.Struct("<Q")
RENAME2_IN = struct.Struct("<QII")
LINK_IN = struct.Struct("<Q")
READ_IN = struct.Struct("<QQIIQII")
WRITE_IN = struct.Struct("<QQIIQII")
WRITE_OUT = struct.Struct("<II")
RELEASE_IN = struct.Struct("<QIIQ")
FSYNC_IN = struct.Struct("<QII")
SETXATTR_IN = struct.Struct("<II")
GETXATTR_IN = struct.Struct("<II")
GETXATTR_OUT = struct.Struct("<II")
SETATTR_IN = struct.Struct("<IIQQQQQQIIIIIIII")
FALLOCATE_IN = struct.Struct("<QQQII")
LSEEK_IN = struct.Struct("<QQII")
LSEEK_OUT = struct.Struct("<Q")
STATFS_OUT = struct.Struct("<QQQQQIIII24x")
FORGET_IN = struct.Struct("<Q")
BATCH_FORGET_IN = struct.Struct("<II")
FORGET_ONE = struct.Struct("<QQ")
DIRECTORY_ENTRY = struct.Struct("<QQII")


class Opcode(IntEnum):
    """What a kernel asks."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    READLINK = 5
    SYMLINK = 6
    MKNOD = 8
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    LINK = 13
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    SETXATTR = 21
    GETXATTR = 22
    LISTXATTR = 23
    REMOVEXATTR = 24
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    FSYNCDIR = 30
    CREATE = 35
    INTERRUPT = 36
    DESTROY = 38
    BATCH_FORGET = 42
    FALLOCATE = 43
    READDIRPLUS = 44
    RENAME2 = 45
    LSEEK = 46
    SYNCFS = 50


SILENT = frozenset({Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT})
"""These have no answer."""

# fuse_init_out.flags
ASYNC_READ = 1 << 0
ATOMIC_O_TRUNC = 1 << 3
BIG_WRITES = 1 << 5
AUTO_INVAL_DATA = 1 << 12
DO_READDIRPLUS = 1 << 13
READDIRPLUS_AUTO = 1 << 14
WRITEBACK_CACHE = 1 << 16
PARALLEL_DIROPS = 1 << 18
HANDLE_KILLPRIV = 1 << 19
MAX_PAGES = 1 << 22
CACHE_SYMLINKS = 1 << 23

# fuse_setattr_in.valid
SET_MODE, SET_UID, SET_GID, SET_SIZE, SET_ATIME, SET_MTIME = 1, 2, 4, 8, 16, 32
SET_ATIME_NOW, SET_MTIME_NOW = 128, 256

KEEP_CACHE = 2


def attributes(status: os.stat_result) -> bytes:
    """A file's attributes as the kernel wants them."""
    times = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
    seconds = [time // 1_000_000_000 for time in times]
    rest = [time % 1_000_000_000 for time in times]
    # A device number of old: 12 bits of major, 20 of minor, as <linux/kdev_t.h> writes them for user space.
    major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
    device = (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)
    return ATTRIBUTES.pack(
        status.st_ino,
        status.st_size,
        status.st_blocks,
        *(second & 0xFFFFFFFFFFFFFFFF for second in seconds),
        *rest,
        status.st_mode,
        status.st_nlink,
        status.st_uid,
        status.st_gid,
        device & 0xFFFFFFFF,
        status.st_blksize,
        0,
    )
