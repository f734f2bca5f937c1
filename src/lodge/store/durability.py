"""What survives a loss of power, and how the store knows after one.

Syncing every layer before answering costs more than unpacking it. So things are renamed into place at once,
after a marker with the machine's boot ID was written and synced. A thread then syncs the whole file system
and removes the markers. While the machine runs, the page cache is the truth and a crash of the process
loses nothing. After a loss of power a marker of an earlier boot is left, and the thing that it names is
checked or dropped: it is absent or verified, never half there (moby#35747).
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lodge.kernel.syncfs import syncfs

_DELAY = 0.2
"""Seconds that the thread waits, so that one sync serves a burst of changes."""


def boot_id() -> str:
    """Return the name of this run of the kernel (random(4))."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def sync_directory(path: str) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_file(path: str, data: bytes) -> None:
    """Put `data` at `path`, atomically and durably: readers see the old or the new file, also after a crash.

    Without space the old file stays and the temporary one goes.
    """
    temporary = f"{path}.new"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except OSError:
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass
        raise
    sync_directory(os.path.dirname(path))


class Durability:
    """The markers below `directory`, and the thread that clears them. Owners choose the names."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self._boot = boot_id()
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._pending: set[str] = set()
        self._together: Counter[str] = Counter()
        self._thread: threading.Thread | None = None
        self._closed = False

    def suspects(self) -> list[str]:
        """Return the names marked under an earlier boot; markers of this one are taken up again."""
        found: list[str] = []
        for marker in os.listdir(self._directory):
            boot, _, name = marker.partition(".")
            if boot == self._boot:
                with self._lock:
                    self._pending.add(name)
                    self._start()
            else:
                found.append(name)
        return found

    def absolve(self, name: str) -> None:
        """Forget a suspect that was checked or dropped."""
        for marker in os.listdir(self._directory):
            if marker.partition(".")[2] == name:
                os.unlink(os.path.join(self._directory, marker))

    def announce(self, names: Iterable[str]) -> None:
        """Mark things that are about to be renamed into place. Returns when the markers are on disk.

        Must come before the rename. One call for many names costs one sync.
        """
        with self._lock:
            names = [name for name in names if name not in self._together]
        if not names:
            return
        for name in names:
            os.close(os.open(self._marker(name), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        sync_directory(self._directory)

    def _marker(self, name: str) -> str:
        return os.path.join(self._directory, f"{self._boot}.{name}")

    @contextmanager
    def together(self, names: Iterable[str]) -> Iterator[None]:
        """Announce things for a block, which places some or all of them: one sync before it, one after.

        A sync in the middle of a large transfer would wait for all its bytes, and all would wait for it.
        """
        names = set(names)
        self.announce(names)
        with self._lock:
            self._together.update(names)
        try:
            yield
        finally:
            with self._lock:
                self._together.subtract(names)
                over = {name for name in names if self._together[name] <= 0}
                for name in over:
                    del self._together[name]
            self.placed(over)

    def placed(self, names: Iterable[str]) -> None:
        """Say that things announced are in place, so that the next sync covers them."""
        with self._lock:
            now = set(names) - self._together.keys()
            if now:
                self._pending |= now
                self._start()

    def settle(self) -> None:
        """Sync now, in this thread, and clear the markers of all that was placed before the call."""
        with self._lock:
            names, self._pending = self._pending, set()
        if names:
            self._sync(names)

    def close(self) -> None:
        """End the thread. What is not settled is left to the next owner, or to the check after a crash."""
        with self._lock:
            self._closed = True
            self._wake.notify()

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="lodge-store-sync", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._closed:
                    self._wake.wait(_DELAY)
                if not self._pending or self._closed:
                    # The next announcement starts a fresh thread: an idle store has none.
                    self._thread = None
                    return
            self.settle()

    def _sync(self, names: set[str]) -> None:
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            syncfs(fd)
        except OSError:
            # The disk said no: keep the markers, so that the things are checked if power is lost.
            with self._lock:
                self._pending |= names
            raise
        finally:
            os.close(fd)
        with self._lock:
            # One that is being placed anew needs its marker still.
            names = names - self._together.keys()
        for name in names:
            try:
                os.unlink(self._marker(name))
            except FileNotFoundError:
                pass
