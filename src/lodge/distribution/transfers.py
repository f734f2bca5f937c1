"""Blobs on their way, each once: whoever wants one that is coming already waits for it with the others.

A transfer ends early when nobody wants it any more. At most so many go at a time for the whole engine, as
Docker's max-concurrent-downloads has it. How one goes is next door, in `download`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lodge.distribution.abort import Abort
from lodge.distribution.contract import Unpacked
from lodge.spec.digest import Digest

_INTERVAL = 0.1
"""Seconds between two figures of one transfer, as in Docker."""

WAITING = "Waiting"
DOWNLOADING = "Downloading"
VERIFYING = "Verifying Checksum"
DOWNLOADED = "Download complete"
EXTRACTING = "Extracting"
RETRYING = "Retrying"


class News:
    """What a transfer has come to: a status, bytes done and bytes in all, or that it has ended."""

    __slots__ = ("current", "status", "total", "transfer")

    def __init__(self, transfer: Transfer, status: str, current: int = 0, total: int = 0) -> None:
        self.transfer = transfer
        self.status = status
        self.current = current
        self.total = total


Inbox = queue.SimpleQueue[News]
Work = Callable[["Transfer"], Unpacked | None]


class Transfer:
    """One blob on its way. `lock` guards the placing of what it unpacked."""

    def __init__(self, digest: Digest) -> None:
        self.digest = digest
        self.abort = Abort()
        self.lock = threading.Lock()
        self.done = threading.Event()
        self.error: BaseException | None = None
        self.unpacked: Unpacked | None = None
        self._inboxes: list[Inbox] = []
        self._last: News | None = None
        self._told = 0.0

    def tell(self, status: str, current: int = 0, total: int = 0, *, every: bool = True) -> None:
        """Let all who wait know; with `every` false only if the last figure is old enough."""
        now = time.monotonic()
        if not every and now - self._told < _INTERVAL:
            return
        self._told = now
        self._last = News(self, status, current, total)
        for inbox in list(self._inboxes):
            inbox.put(self._last)

    def join(self, inbox: Inbox) -> None:
        """Send news there from now on, the last one at once."""
        self._inboxes.append(inbox)
        if self._last is not None:
            inbox.put(self._last)

    def leave(self, inbox: Inbox) -> bool:
        """Send none there any more; whether anybody is left."""
        if inbox in self._inboxes:
            self._inboxes.remove(inbox)
        return bool(self._inboxes)


class Transfers:
    """All transfers of one engine. Safe in threads. Close it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._running: dict[Digest, Transfer] = {}

    def close(self) -> None:
        """End all transfers; what has arrived of them is kept."""
        with self._lock:
            running, pool, self._pool = list(self._running.values()), self._pool, None
        for transfer in running:
            transfer.abort.set()
        if pool is not None:
            pool.shutdown()

    def want(self, digest: Digest, inbox: Inbox, work: Work) -> Transfer:
        """Join the transfer of a blob, or start it with `work`. Give it back with `release`."""
        with self._lock:
            transfer = self._running.get(digest)
            if transfer is None or transfer.abort.is_set or transfer.error is not None:
                transfer = self._running[digest] = Transfer(digest)
                transfer.join(inbox)
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(self._most, "lodge-download")
                if sum(not each.done.is_set() for each in self._running.values()) > self._most:
                    transfer.tell(WAITING)
                self._pool.submit(self._run, transfer, work)
            else:
                transfer.join(inbox)
        return transfer

    def release(self, transfer: Transfer, inbox: Inbox) -> None:
        """Want it no more. The last one to go ends it, and drops what it unpacked."""
        with self._lock:
            if transfer.leave(inbox):
                return
            if self._running.get(transfer.digest) is transfer:
                del self._running[transfer.digest]
        transfer.abort.set()
        if transfer.done.is_set():
            self._drop(transfer)

    def _run(self, transfer: Transfer, work: Work) -> None:
        try:
            transfer.abort.check()
            transfer.unpacked = work(transfer)
        except BaseException as error:
            transfer.error = error
        transfer.done.set()
        if transfer.abort.is_set:
            self._drop(transfer)
        transfer.tell("")

    @staticmethod
    def _drop(transfer: Transfer) -> None:
        with transfer.lock:
            unpacked, transfer.unpacked = transfer.unpacked, None
        if unpacked is not None:
            unpacked.discard()
