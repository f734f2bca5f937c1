"""File modes as Go has them: Docker's API and BuildKit's protocol send its os.FileMode, not st_mode.

The permission bits are the same, all others lie elsewhere (Go, package io/fs). Pure numbers.
"""

from __future__ import annotations

import stat

_TYPES = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFREG: 0,
}
_KINDS = {theirs: ours for ours, theirs in _TYPES.items()}
_KIND = 1 << 31 | 1 << 27 | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21
_BITS = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


def to_go(mode: int) -> int:
    """Go's os.FileMode of an st_mode."""
    made = mode & 0o777 | _TYPES.get(stat.S_IFMT(mode), 0)
    for ours, theirs in _BITS:
        made |= theirs if mode & ours else 0
    return made


def from_go(mode: int) -> int:
    """The st_mode of Go's os.FileMode; a kind that Unix does not have is a regular file."""
    made = mode & 0o777 | _KINDS.get(mode & _KIND, stat.S_IFREG)
    for ours, theirs in _BITS:
        made |= ours if mode & theirs else 0
    return made
