"""Why the collector leaves something alone that nothing refers to yet.

Between the arrival of a blob and the name that refers to it lies time. Whoever works in that time holds a
lease; all that is brought, or found to be there already, while any lease is held stays until the last is
given back. Nothing has to be passed along for that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Leases:
    """Counts leases and remembers what was touched under them. `lock` also guards the sweep."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._held = 0
        self._touched: set[str] = set()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold a lease for a block. Leases nest and overlap freely."""
        with self.lock:
            self._held += 1
        try:
            yield
        finally:
            with self.lock:
                self._held -= 1
                if not self._held:
                    self._touched.clear()

    def touch(self, name: str) -> None:
        """Protect a digest or chain ID while leases are held that are held now."""
        if self._held:
            with self.lock:
                self._touched.add(name)

    def protects(self, name: str) -> bool:
        """Whether a lease keeps it. Ask with `lock` held, and act before giving the lock back."""
        return name in self._touched
