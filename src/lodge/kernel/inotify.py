"""File system events: inotify(7)."""

from __future__ import annotations

import ctypes
import os
import struct

from msgspec import Struct

from lodge.kernel.syscalls import check, libc

IN_ACCESS = 0x1
IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x1000000
IN_DONT_FOLLOW = 0x2000000

_EVENT = struct.Struct("iIII")

libc.inotify_init1.argtypes = [ctypes.c_int]
libc.inotify_add_watch.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]
libc.inotify_rm_watch.argtypes = [ctypes.c_int, ctypes.c_int]


class Event(Struct, frozen=True):
    """What happened to a watch; `name` is an entry of a watched directory, "" for the watched file."""

    watch: int
    mask: int
    cookie: int
    name: str


def inotify_init() -> int:
    """inotify_init1(2): a new queue, close-on-exec and non-blocking."""
    return check(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    """inotify_add_watch(2): returns the watch's number, the same for the same file."""
    return check(libc.inotify_add_watch(fd, os.fsencode(path), mask), path)


def inotify_rm_watch(fd: int, watch: int) -> None:
    """inotify_rm_watch(2)."""
    check(libc.inotify_rm_watch(fd, watch))


def read_events(fd: int, size: int = 65536) -> list[Event]:
    """The events that are waiting, none when there are none."""
    try:
        data = os.read(fd, size)
    except BlockingIOError:
        return []
    return parse_events(data)


def parse_events(data: bytes) -> list[Event]:
    """Split what a read of the queue gave: struct inotify_event, one after another."""
    events = []
    offset = 0
    while offset < len(data):
        watch, mask, cookie, length = _EVENT.unpack_from(data, offset)
        offset += _EVENT.size
        name = data[offset : offset + length].rstrip(b"\0")
        offset += length
        events.append(Event(watch, mask, cookie, os.fsdecode(name)))
    return events
