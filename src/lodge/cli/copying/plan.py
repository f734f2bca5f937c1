"""What `cp` means: which directory receives, and under which name the copied thing appears there. Pure."""

from __future__ import annotations

import os
import posixpath

from lodge.errors import InvalidArgument

SEPARATOR = ":"


class Side:
    """One end of a copy: `container` is empty for this machine; `path` is as the user wrote it."""

    __slots__ = ("container", "path")

    def __init__(self, container: str, path: str) -> None:
        self.container = container
        self.path = path


def split_argument(text: str) -> Side:
    """`CONTAINER:PATH` or a local path; an absolute path, or one that begins with a dot, is always local."""
    if os.path.isabs(text) or text.startswith("."):
        return Side("", text)
    container, mark, path = text.partition(SEPARATOR)
    return Side(container, path) if mark else Side("", text)


def wants_directory(path: str) -> bool:
    """Whether the writing says that it is a directory: it ends in a slash, or in "/."."""
    return path.endswith(("/", "/.")) or path == "."


def copies_content(path: str) -> bool:
    """Whether only the content of a directory is meant, for it is written "dir/."."""
    return path == "." or path.endswith("/.")


class Target:
    """Where a copy goes: `directory` receives an entry called `name`; "" and "." unpack into it as it is."""

    __slots__ = ("directory", "name")

    def __init__(self, directory: str, name: str) -> None:
        self.directory = directory
        self.name = name


def plan_target(source: str, source_is_directory: bool, target: str, target_kind: str) -> Target:
    """The target of a copy. `target_kind` is "directory", "file" or "missing".

    InvalidArgument for the combinations that `cp` refuses.
    """
    if target_kind == "missing" and wants_directory(target) and not source_is_directory:
        raise InvalidArgument("no such directory")
    if target_kind == "file" and wants_directory(target):
        raise InvalidArgument("not a directory")
    if target_kind == "file" and source_is_directory:
        raise InvalidArgument("cannot copy directory")
    if target_kind == "directory":
        if source_is_directory and copies_content(source):
            return Target(target, ".")
        return Target(target, posixpath.basename(posixpath.normpath(source)))
    clean = target.rstrip("/") or "/"
    if clean.endswith("/.") or clean == ".":
        clean = posixpath.normpath(clean)
    parent, name = posixpath.split(clean)
    return Target(parent or ".", name)
