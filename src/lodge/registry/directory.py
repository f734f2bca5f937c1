"""A registry's directory: `pool` with each blob once, `repositories/<name>/_` with a layout for each name.

The one place that makes repositories and knows which there are. A directory has one process at a time that
writes.
"""

from __future__ import annotations

import fcntl
import os
import threading

from lodge.errors import Conflict
from lodge.registry import files
from lodge.registry.repository import Repository, walk
from lodge.registry.shelf import Pool
from lodge.registry.targets import is_name

_SCHEMA = b"1\n"


class Directory:
    """An open directory; close it. Thread-safe."""

    def __init__(self, root: str) -> None:
        os.makedirs(root, mode=0o700, exist_ok=True)
        self.root = root
        self._lock_fd = self._own()
        self._repositories = f"{root}/repositories"
        os.makedirs(self._repositories, exist_ok=True)
        self.pool = Pool(f"{root}/pool")
        self._ballast = files.Ballast(f"{root}/ballast")
        self._lock = threading.Lock()
        self._open: dict[str, Repository] = {}
        self._names = {name for name, _ in walk(self._repositories)}

    def find(self, name: str) -> Repository | None:
        """A repository by its (checked) name, if there is one."""
        found = self._open.get(name)
        if found is not None:
            return found
        return self.make(name) if name in self._names else None

    def make(self, name: str) -> Repository:
        """A repository by its (checked) name; made if there is none. Idempotent."""
        with self._lock:
            found = self._open.get(name)
            if found is None:
                assert is_name(name)
                with files.full_disk_is_exhausted():
                    found = Repository(name, f"{self._repositories}/{name}/_", self.pool, self._ballast)
                self._open[name] = found
                self._names.add(name)
            return found

    def names(self) -> list[str]:
        """All repositories, sorted; those that hold nothing too."""
        with self._lock:
            return sorted(self._names)

    @property
    def is_cache(self) -> bool:
        """Whether it was filled by pull-through: then blobs may be missing."""
        return os.path.exists(f"{self.root}/cache")

    def make_cache(self, source: str) -> None:
        """Say that it is filled from another registry. Idempotent; Conflict when people pushed to it.

        A cache forgets what it can get again, and nobody could bring back what was pushed.
        """
        if self._names and not self.is_cache:
            raise Conflict(
                f"{self.root} holds what was pushed to it", hint="pull through into a directory of its own"
            )
        files.replace(f"{self.root}/cache", source.encode() + b"\n")

    def close(self) -> None:
        """Let another process have the directory."""
        os.close(self._lock_fd)

    def _own(self) -> int:
        fd = os.open(f"{self.root}/registry.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._check_schema()
        except BlockingIOError:
            os.close(fd)
            raise Conflict(
                f"the registry directory {self.root} is in use by another process",
                hint="stop it, or choose another directory; who serves collects garbage by itself",
            ) from None
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _check_schema(self) -> None:
        path = f"{self.root}/version"
        try:
            with open(path, "rb") as file:
                found = file.read(16)
        except FileNotFoundError:
            others = set(os.listdir(self.root)) - {"registry.lock", "lost+found"}
            if others:
                raise Conflict(
                    f"{self.root} holds something else: {min(others)}", hint="choose an empty directory"
                ) from None
            files.replace(path, _SCHEMA)
            return
        if found != _SCHEMA:
            raise Conflict(f"{self.root} was written by a newer version of this registry")
