"""Network namespaces from inside one process: made, entered for a moment by one thread, kept by a descriptor.

A namespace belongs to a thread, a socket to the namespace in which it was made: to configure a foreign one, a
thread visits it, opens sockets there and comes back. Sources: namespaces(7), network_namespaces(7).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from lodge.kernel.namespaces import CLONE_NEWNET, setns, unshare

_HERE = "/proc/thread-self/ns/net"


def current() -> int:
    """The namespace of the calling thread, as a descriptor to close."""
    return os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def visiting(target: int) -> Iterator[None]:
    """The calling thread, and no other, is in the namespace of a descriptor for the length of the block.

    `target` may be a namespace's file or a pidfd. Nothing that asks for names or loads code belongs inside.
    """
    home = current()
    try:
        setns(target, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)


@contextmanager
def in_new() -> Iterator[int]:
    """A new namespace: the block runs in it and gets its descriptor, which the caller closes."""
    home = current()
    try:
        unshare(CLONE_NEWNET)
        try:
            fd = current()
            try:
                yield fd
            except BaseException:
                os.close(fd)
                raise
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)


def same(first: int, second: int) -> bool:
    """Whether two descriptors are of one namespace."""
    one, two = os.fstat(first), os.fstat(second)
    return (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)
