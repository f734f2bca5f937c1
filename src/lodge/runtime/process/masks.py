"""Hiding parts of /proc and /sys, and closing others for writing.

A masked file is covered by the host's /dev/null, a masked directory by an empty read-only tmpfs. /dev/null
is opened in the host's tree without following a link, and its device number is checked, before it covers
anything (CVE-2025-31133: a container that shares /dev could have swapped it).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from lodge.errors import StartFailed
from lodge.kernel import mount as m
from lodge.kernel import paths
from lodge.runtime.process.operation import Operation, Site
from lodge.spec.runtime import Linux

_NULL = "/dev/null"
_ONTO = m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_EMPTY_PATH


class MaskPaths(Operation, frozen=True):
    """Hide files and directories; what does not exist is hidden enough."""

    paths: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(f"mask {path}" for path in self.paths)

    def perform(self, site: Site) -> None:
        """One tmpfs serves all directories."""
        null = _open_null()
        empty = -1
        try:
            for path in self.paths:
                target = _find(site, path)
                if target < 0:
                    continue
                try:
                    if stat.S_ISDIR(os.fstat(target).st_mode):
                        empty = _cover_directory(target, empty)
                    else:
                        _cover(target, null)
                finally:
                    os.close(target)
        finally:
            os.close(null)
            if empty >= 0:
                os.close(empty)


class ReadOnlyPaths(Operation, frozen=True):
    """Close files and directories, with what is mounted below, for writing."""

    paths: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(f"read-only {path}" for path in self.paths)

    def perform(self, site: Site) -> None:
        """Each gets a mount of its own, closed before it is attached."""
        for path in self.paths:
            target = _find(site, path)
            if target < 0:
                continue
            try:
                flags = m.AT_EMPTY_PATH | m.AT_RECURSIVE | m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC
                tree = m.open_tree(target, "", flags)
                try:
                    m.mount_setattr(tree, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_RDONLY)
                    m.move_mount(tree, "", target, "", _ONTO)
                finally:
                    os.close(tree)
            finally:
                os.close(target)


def plan_masks(linux: Linux) -> list[Operation]:
    """Read-only paths first: a mask may lie inside of one. A step for each directory of the root."""
    read_only = [ReadOnlyPaths(group) for group in _by_top(linux.readonly_paths)]
    return [*read_only, *(MaskPaths(group) for group in _by_top(linux.masked_paths))]


def _by_top(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(name.strip("/").partition("/")[0], []).append(name)
    return map(tuple, groups.values())


def _open_null() -> int:
    fd = os.open(_NULL, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    info = os.fstat(fd)
    if not stat.S_ISCHR(info.st_mode) or info.st_rdev != os.makedev(1, 3):
        os.close(fd)
        raise StartFailed(f"{_NULL} of the host is not the null device: nothing can be masked with it")
    return fd


def _find(site: Site, path: str) -> int:
    try:
        return paths.open_in_root(site.rootfd, path, os.O_PATH)
    except (FileNotFoundError, NotADirectoryError):
        return -1


def _cover(target: int, source: int) -> None:
    tree = m.open_tree(source, "", m.AT_EMPTY_PATH | m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC)
    try:
        m.move_mount(tree, "", target, "", _ONTO)
    finally:
        os.close(tree)


def _cover_directory(target: int, empty: int) -> int:
    """Cover with the empty tmpfs, which is made at its first use; returns it (attached, to be cloned)."""
    if empty >= 0:
        _cover(target, empty)
        return empty
    context = m.fsopen("tmpfs")
    try:
        m.fsconfig_string(context, "nr_blocks", "1")
        m.fsconfig_string(context, "nr_inodes", "2")
        m.fsconfig_create(context)
        tree = m.fsmount(context, m.FSMOUNT_CLOEXEC, m.MOUNT_ATTR_RDONLY)
    finally:
        os.close(context)
    m.move_mount(tree, "", target, "", _ONTO)
    return tree
