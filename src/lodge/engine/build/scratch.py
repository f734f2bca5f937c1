"""Room for what a build has only for its own time: unpacked contexts, downloads.

Directories are spread over the disk, as layers are, and thrown away by a rename; a context of 30,000 files
would else cost more to remove than to build from.
"""

from __future__ import annotations

import os
import tempfile

from lodge.store.placement import spread
from lodge.store.trash import Trash


class Scratch:
    """One directory below the data root. What an earlier engine has left there goes at once."""

    def __init__(self, directory: str, trash: Trash) -> None:
        self.directory = directory
        self._trash = trash
        os.makedirs(directory, 0o700, exist_ok=True)
        spread(directory)
        for name in os.listdir(directory):
            trash.throw(os.path.join(directory, name))

    def make(self, prefix: str) -> str:
        """A new, empty directory that programs may enter."""
        path = tempfile.mkdtemp(prefix=f"{prefix}-", dir=self.directory)
        os.chmod(path, 0o755)
        return path

    def drop(self, path: str) -> None:
        """Throw one away. Idempotent; the files go in the background."""
        self._trash.throw(path)
