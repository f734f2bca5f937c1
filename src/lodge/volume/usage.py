"""How many bytes a tree takes: each file once, however many names it has."""

from __future__ import annotations

import os
import stat


def tree_size(directory: str) -> int:
    """The sum of file sizes below a directory; what goes meanwhile does not count, no link is followed."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for _, _, names, dirfd in os.fwalk(directory, follow_symlinks=False):
        for name in names:
            try:
                info = os.stat(name, dir_fd=dirfd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if info.st_nlink > 1:
                key = (info.st_dev, info.st_ino)
                if key in seen:
                    continue
                seen.add(key)
            if not stat.S_ISDIR(info.st_mode):
                total += info.st_size
    return total
