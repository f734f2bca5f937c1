"""Trees of clients on this machine, kept up to date between builds: only what changed is written.

A client lists its files in order; a file whose type, mode, size and time are here already is not asked for
again (as rsync has it). Names come from outside: each must lie below a directory that this very listing
named, so that no link leads out. Nothing but this module writes to a tree while it is held.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat

from msgspec import Struct

from lodge.errors import Corrupt, Exhausted

KEPT = 16
"""Trees that stay for later builds."""
_PART = ".~lodge"


class Entry(Struct, frozen=True):
    """One file as the client has it: st_mode's mode, mtime in nanoseconds, link a target or another name."""

    path: str
    mode: int
    size: int
    mtime: int
    link: str


class Trees:
    """Where clients' trees stay: `<root>/<hash of whose and which>-<number>`."""

    def __init__(self, root: str) -> None:
        self.root = root

    def take(self, owner: str, name: str) -> Tree:
        """The owner's tree of this name; another one while that is in use. Close it."""
        os.makedirs(self.root, 0o700, exist_ok=True)
        key = hashlib.sha256(f"{owner}\0{name}".encode()).hexdigest()[:32]
        for number in range(1000):
            path = os.path.join(self.root, f"{key}-{number}")
            lock = _lock(path)
            if lock is not None:
                os.makedirs(path, 0o755, exist_ok=True)
                os.utime(path)
                return Tree(self, path, lock)
        raise Exhausted("too many builds of one context at once")

    def sweep(self) -> None:
        """Remove the trees that were used the longest time ago."""
        trees = [
            entry
            for entry in os.scandir(self.root)
            if entry.is_dir(follow_symlinks=False) and os.path.exists(f"{entry.path}.lock")
        ]
        trees.sort(key=lambda entry: entry.stat(follow_symlinks=False).st_mtime, reverse=True)
        for entry in trees[KEPT:]:
            lock = _lock(entry.path)
            if lock is not None:
                # SAFETY: a tree that this module made, below the engine's own root, and nobody holds.
                shutil.rmtree(entry.path, ignore_errors=True)
                os.unlink(f"{entry.path}.lock")
                os.close(lock)


def _lock(path: str) -> int | None:
    """Hold a tree's lock; None while somebody else does."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


class Tree:
    """One tree, held."""

    def __init__(self, trees: Trees, directory: str, lock: int) -> None:
        self._trees = trees
        self.directory = directory
        self._lock = lock

    def close(self) -> None:
        """Leave it for the next build. Idempotent."""
        if self._lock >= 0:
            lock, self._lock = self._lock, -1
            os.close(lock)
            self._trees.sweep()


class Incoming:
    """One listing and the contents that come with it: `take` each, `listed`, `finish`; or `abort`."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._listed: dict[str, Entry] = {}
        self._coming: dict[int, tuple[Entry, int]] = {}

    def take(self, entry: Entry) -> bool:
        """The next file listed; whether its content is needed. Corrupt for one that makes no sense."""
        self._check(entry)
        self._listed[entry.path] = entry
        path = self._path(entry)
        there = _status(path)
        kind = stat.S_IFMT(entry.mode)
        if there is not None and (stat.S_IFMT(there.st_mode) != kind or kind == stat.S_IFLNK):
            _remove(path)
            there = None
        if kind == stat.S_IFREG:
            return self._take_file(entry, path, there)
        if kind == stat.S_IFDIR and there is None:
            os.mkdir(path, 0o755)
        elif kind == stat.S_IFLNK:
            os.symlink(entry.link, path)
        elif kind == stat.S_IFIFO and there is None:
            os.mkfifo(path, 0o600)
        return False

    def _take_file(self, entry: Entry, path: str, there: os.stat_result | None) -> bool:
        if entry.link:
            target = self._listed.get(entry.link)
            if target is None or not stat.S_ISREG(target.mode):
                raise Corrupt(f"{entry.path} is a link to {entry.link}, which was not listed before it")
            # What it is a link to may still be on its way: it is made when all is here.
            if there is not None:
                os.unlink(path)
            return False
        wanted = (entry.mode, entry.size, entry.mtime)
        return there is None or (there.st_mode, there.st_size, there.st_mtime_ns) != wanted

    def _check(self, entry: Entry) -> None:
        parts = entry.path.split("/")
        if "\0" in entry.path or any(part in ("", ".", "..") for part in parts) or len(entry.path) > 4096:
            raise Corrupt(f"the client lists a file with a bad name: {entry.path[:200]!r}")
        parent = "/".join(parts[:-1])
        if parent and not (parent in self._listed and stat.S_ISDIR(self._listed[parent].mode)):
            raise Corrupt(f"the client lists {entry.path[:200]!r} before its directory")
        if entry.path in self._listed:
            raise Corrupt(f"the client lists {entry.path[:200]!r} twice")

    def _path(self, entry: Entry) -> str:
        return os.path.join(self._directory, entry.path)

    def begin(self, number: int, entry: Entry) -> None:
        """The content of an entry was asked for under this number."""
        part = self._path(entry) + _PART
        if os.path.lexists(part):
            os.unlink(part)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._coming[number] = (entry, os.open(part, flags, 0o600))

    def write(self, number: int, data: bytes) -> None:
        """A piece of the content of this number; empty at its end. Corrupt when nobody asked for it."""
        if number not in self._coming:
            raise Corrupt("the client sent a file that nobody asked for")
        entry, fd = self._coming[number]
        if data:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            return
        del self._coming[number]
        try:
            os.fchmod(fd, entry.mode & 0o7777)
            os.utime(fd, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(fd)
        os.rename(self._path(entry) + _PART, self._path(entry))

    @property
    def coming(self) -> int:
        """How many contents are on their way."""
        return len(self._coming)

    def listed(self) -> None:
        """The listing is whole: what it does not name goes."""
        parts = {self._path(entry) + _PART for entry, _ in self._coming.values()}
        for place, names, files in os.walk(self._directory):
            relative = os.path.relpath(place, self._directory)
            prefix = "" if relative == "." else f"{relative}/"
            for name in (*names, *files):
                path = os.path.join(place, name)
                if f"{prefix}{name}" not in self._listed and path not in parts:
                    _remove(path)
            names[:] = [name for name in names if f"{prefix}{name}" in self._listed]

    def finish(self) -> None:
        """Links, modes and times that hold only when all is in its place."""
        for entry in self._listed.values():
            if stat.S_ISREG(entry.mode) and entry.link:
                os.link(os.path.join(self._directory, entry.link), self._path(entry), follow_symlinks=False)
        for entry in reversed(self._listed.values()):
            path = self._path(entry)
            if stat.S_ISDIR(entry.mode):
                os.chmod(path, entry.mode & 0o7777)
            if stat.S_ISDIR(entry.mode) or stat.S_ISLNK(entry.mode):
                os.utime(path, ns=(entry.mtime, entry.mtime), follow_symlinks=False)

    def abort(self) -> None:
        """Give up what is half here. Idempotent; nothing after `finish`."""
        for entry, fd in self._coming.values():
            os.close(fd)
            os.unlink(self._path(entry) + _PART)
        self._coming.clear()


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        # SAFETY: below a tree that this module made; links are not followed.
        shutil.rmtree(path)
    else:
        os.unlink(path)
