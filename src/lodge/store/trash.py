"""Things on their way out: renamed into one directory at once, deleted by threads in their own time.

Two, since the kernel needs a processor for long to let go of a large file. They stay for a moment after
their work: removals often come in rows.
"""

from __future__ import annotations

import errno
import itertools
import os
import threading
import time
from collections import deque

from lodge.archive.removal import remove_large_tree, remove_tree

_WORKERS = 2
_LINGER = 1.0


class Trash:
    """The directory below which things are deleted. What a crash left there goes at the next `empty`."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        os.makedirs(directory, mode=0o700, exist_ok=True)
        # What an earlier owner of the directory has left, in whatever process, must not be in the way.
        self._run_name = os.urandom(6).hex()
        self._names = itertools.count()
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._waiting: deque[str] = deque()
        self._going: set[str] = set()
        self._workers = 0
        self._idle = 0
        self._closed = False
        self.failures: list[OSError] = []

    def throw(self, path: str) -> bool:
        """Rename `path` away; False when it wasn't there. It costs one rename, whatever lies below.

        On a file system too full even for that, it is deleted here and now.
        """
        name = f"{self._run_name}-{next(self._names)}-{os.path.basename(path)[:64]}"
        try:
            os.rename(path, os.path.join(self._directory, name))
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._delete_in_place(path)
            return True
        with self._lock:
            self._put(name)
        return True

    @staticmethod
    def _delete_in_place(path: str) -> None:
        directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # SAFETY: the last component of a path that the store made itself.
            remove_tree(os.path.basename(path), directory)
        finally:
            os.close(directory)

    def empty(self) -> None:
        """Start deleting what is there, in the background; returns at once."""
        with self._lock:
            known = {*self._waiting, *self._going}
            for name in os.listdir(self._directory):
                if name not in known:
                    self._put(name)

    def wait(self) -> None:
        """Return when the trash that was thrown before the call is gone."""
        with self._lock:
            while (self._waiting and not self._closed) or self._going:
                self._news.wait()

    def close(self) -> None:
        """Stop after what is being deleted; the rest goes when the store is opened again."""
        with self._lock:
            self._closed = True
            self._news.notify_all()
        self.wait()

    def _put(self, name: str) -> None:
        """With the lock: have it deleted by a worker that is idle, or by a new one."""
        if self._closed:
            return
        self._waiting.append(name)
        if self._idle:
            self._news.notify_all()
        elif self._workers < _WORKERS:
            self._workers += 1
            threading.Thread(target=self._work, name="lodge-store-trash", daemon=True).start()

    def _work(self) -> None:
        while (name := self._take()) is not None:
            try:
                self._delete(name)
            except OSError as error:
                # It stays for the next time: a leak of disk space, said out loud, and no more.
                self.failures = [*self.failures[-9:], error]
            with self._lock:
                self._going.discard(name)
                self._news.notify_all()

    def _take(self) -> str | None:
        """The next name; None when none has come for a while."""
        with self._lock:
            self._idle += 1
            end = time.monotonic() + _LINGER
            while not self._waiting and not self._closed and (left := end - time.monotonic()) > 0:
                self._news.wait(left)
            self._idle -= 1
            if self._closed or not self._waiting:
                self._workers -= 1
                return None
            name = self._waiting.popleft()
            self._going.add(name)
            return name

    def _delete(self, name: str) -> None:
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # SAFETY: only what lies in the trash, by its descriptor.
            remove_large_tree(name, directory)
        finally:
            os.close(directory)
