"""Docker's rules for a path in a container: what it names, and what its members are called in an archive.

The last part of a path is not followed when it is a symbolic link, unless a slash or "/." comes after it.
Pure.
"""

from __future__ import annotations

import posixpath

from msgspec import Struct


class Name(Struct, frozen=True):
    """A path taken apart: the directory to go to, and the entry in it; no entry means the directory itself.

    `shown` is the name in answers and archives.
    """

    directory: str
    entry: str
    shown: str


def parse(path: str) -> Name:
    """Take a path apart. It is absolute from the container's root, whether it says so or not."""
    whole = posixpath.normpath(f"/{path}")
    whole = f"/{whole.lstrip('/')}"
    base = posixpath.basename(whole)
    if path.endswith("/.") or path == ".":
        return Name(whole, "", ".")
    if not base:
        return Name("/", "", "/")
    if path.endswith("/"):
        return Name(whole, "", base)
    return Name(posixpath.dirname(whole), base, base)
