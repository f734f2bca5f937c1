"""Things on their way out: renamed into one directory at once, deleted by a thread in its own time."""

from __future__ import annotations

import errno
import itertools
import os
import threading

from lodge.archive.removal import remove_large_tree, remove_tree


class Trash:
    """The directory below which things are deleted. What a crash left there goes at the next `empty`."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        os.makedirs(directory, mode=0o700, exist_ok=True)
        # What an earlier owner of the directory has left, in whatever process, must not be in the way.
        self._run_name = os.urandom(6).hex()
        self._names = itertools.count()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._again = False
        self._closed = threading.Event()
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
        self.empty()
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
            self._again = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="lodge-store-trash", daemon=True)
                self._thread.start()

    def wait(self) -> None:
        """Return when the trash that was thrown before the call is gone."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def close(self) -> None:
        """Stop after the thing that is being deleted; the rest goes when the store is opened again."""
        self._closed.set()
        self.wait()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._again or self._closed.is_set():
                    self._thread = None
                    return
                self._again = False
            directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for name in os.listdir(directory):
                    if self._closed.is_set():
                        break
                    try:
                        # SAFETY: only what lies in the trash, by its descriptor.
                        remove_large_tree(name, directory)
                    except OSError as error:
                        # It stays for the next time: a leak of disk space, said out loud, and no more.
                        self.failures = [*self.failures[-9:], error]
            finally:
                os.close(directory)
