"""Where snapshots lie: `snapshots/<key>/parent` and what a snapshotter puts beside it.

`parent` is a symbolic link whose text is the chain ID. It is made last, so a directory without it is the
debris of a crash. Both snapshotters stand on this.
"""

from __future__ import annotations

import os
import re

from lodge.errors import AlreadyExists, InvalidArgument, NotFound
from lodge.spec.digest import Digest
from lodge.store.placement import spread
from lodge.store.trash import Trash

_KEY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,200}")
_NOTHING = "-"


class Shelf:
    """The directories of all snapshots of one store."""

    def __init__(self, root: str, trash: Trash) -> None:
        self._directory = os.path.join(root, "snapshots")
        self._trash = trash
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        spread(self._directory)

    def remove(self, key: str) -> None:
        """Rename it into the trash. Idempotent."""
        self._trash.throw(self._path(key))

    def exists(self, key: str) -> bool:
        """Whether there is a snapshot of that key."""
        return os.path.lexists(self._path(key) + "/parent")

    def chain(self, key: str) -> Digest | None:
        """Return what it was made from. Raises NotFound."""
        try:
            text = os.readlink(self._path(key) + "/parent")
        except FileNotFoundError:
            raise NotFound(f"snapshot {key} not found") from None
        return None if text == _NOTHING else Digest(text)

    def walk(self) -> list[str]:
        """Return all keys."""
        return [name for name in os.listdir(self._directory) if self.exists(name)]

    def recover(self) -> None:
        """Remove snapshots that a crash left half made."""
        for name in os.listdir(self._directory):
            if not os.path.lexists(os.path.join(self._directory, name, "parent")):
                self._trash.throw(os.path.join(self._directory, name))

    def _path(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise InvalidArgument(f"invalid snapshot key {key!r}")
        return f"{self._directory}/{key}"

    def _begin(self, key: str) -> None:
        """Make the directory, without which nobody sees the snapshot and with which nobody else makes it."""
        try:
            os.mkdir(self._path(key), 0o710)
        except FileExistsError:
            raise AlreadyExists(f"snapshot {key} exists already") from None

    def _seal(self, path: str, chain: Digest | None) -> None:
        """Make it a snapshot: all is in its place."""
        os.symlink(chain or _NOTHING, path + "/parent")
