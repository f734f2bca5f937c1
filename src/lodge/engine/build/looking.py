"""Looking at mounts without putting them anywhere: a detached tree behind a descriptor."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lodge.errors import Unsupported
from lodge.kernel import mount as m
from lodge.kernel.overlay import fsmount_overlay
from lodge.spec.mount import Mount


@contextmanager
def looking(mounts: Sequence[Mount], place: str) -> Iterator[int]:
    """A descriptor of what a read-only view shows; `place` is for people. Nothing of it stays."""
    last = mounts[-1]
    if last.type == "bind":
        root = os.open(last.source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    elif last.type == "overlay":
        lower = next(each for each in last.options if each.startswith("lowerdir=")).removeprefix("lowerdir=")
        extra = [each for each in last.options if not each.startswith(("lowerdir=", "ro"))]
        tree = fsmount_overlay(lower.split(":"), extra=extra, attributes=m.MOUNT_ATTR_RDONLY)
        try:
            root = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=tree)
        finally:
            os.close(tree)
    else:
        raise Unsupported(f"{place}: files can't be shown from a mount of the type {last.type}")
    try:
        yield root
    finally:
        os.close(root)
