"""The directories of RUN --mount=type=cache: made, listed, taken elsewhere and brought back. Blocking.

Each is `<root>/<digest of its id>/files`, beside it its id; `<digest>-N` are those of a private cache that
several steps used at once. Nobody resolves anything inside one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from lodge.archive.compression import inflate
from lodge.archive.extract import extract
from lodge.archive.source import Readable
from lodge.archive.tree import TreeOptions, write_tree
from lodge.engine import names
from lodge.errors import InvalidArgument, NotFound
from lodge.store.snapshots import changes
from lodge.store.trash import Trash

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST_ID = 4096


class CacheMount(Struct, kw_only=True):
    """One cache: bytes of its files; the time when something in its directory was made or removed last."""

    id: str
    size: int
    used_at: int
    directory: str


def name_of(identity: str) -> str:
    """The directory's name for what identifies a cache."""
    return hashlib.sha256(identity.encode()).hexdigest()


def shown(identity: str) -> str:
    """An identity as people wrote it: namespace and id, without the base that the cache began with."""
    namespace, _, rest = identity.partition("\0")[0].partition("/")
    return f"{namespace}/{rest}" if namespace else rest


class CacheMounts:
    """All caches of an engine."""

    def __init__(self, root: str, trash: Trash) -> None:
        self._root = root
        self._trash = trash

    def directory(self, name: str, identity: str, furnish: Callable[[str], None]) -> str:
        """A cache's directory; `furnish` gives a new one its attributes and first files."""
        path = os.path.join(self._root, name)
        files = os.path.join(path, "files")
        if not os.path.isdir(files):
            staged = self._stage(path, identity)
            try:
                furnish(os.path.join(staged, "files"))
                os.rename(staged, path)
            except BaseException as error:
                # SAFETY: a directory that was made here a moment ago, on a name of our own.
                shutil.rmtree(staged, ignore_errors=True)
                if not (isinstance(error, OSError) and os.path.isdir(files)):
                    raise
                # Another step was first: then that one's is used.
        return files

    def _stage(self, path: str, identity: str) -> str:
        os.makedirs(self._root, 0o700, exist_ok=True)
        staged = f"{path}.{names.new_id()}"
        os.makedirs(os.path.join(staged, "files"))
        with open(os.path.join(staged, "id"), "w", encoding="utf-8") as file:
            file.write(identity)
        return staged

    def list(self) -> list[CacheMount]:
        """All of them, the latest used first."""
        found: list[CacheMount] = []
        with suppress(FileNotFoundError):
            for name in os.listdir(self._root):
                with suppress(FileNotFoundError):
                    found.append(self._look(os.path.join(self._root, name)))
        return sorted(found, key=lambda each: each.used_at, reverse=True)

    def _look(self, path: str) -> CacheMount:
        with open(os.path.join(path, "id"), encoding="utf-8") as file:
            identity = file.read()
        files = os.path.join(path, "files")
        size, used = changes.usage(files)[0], os.stat(files).st_mtime_ns
        return CacheMount(id=shown(identity), size=size, used_at=used, directory=files)

    def find(self, id: str) -> str:
        """The files of a cache, the latest used of an id; NotFound."""
        for each in self.list():
            if id and each.id == id:
                return each.directory
        raise NotFound(f"there is no cache with the id {id!r}", hint="lodge builder mounts lists them")

    def write(self, directory: str, write: Callable[[bytes], object]) -> None:
        """A cache's files as a tar. What a program changes meanwhile is as it was read."""
        root = os.open(directory, _OPEN)
        try:
            write_tree(root, write, TreeOptions(precise=True))
        finally:
            os.close(root)

    def load(self, id: str, source: Readable) -> None:
        """Put a tar's files in the place of a cache's; Corrupt for a bad one, which changes nothing."""
        if not id or len(id) > _LONGEST_ID or "\0" in id:
            raise InvalidArgument(f"invalid id of a cache: {id!r}")
        # Without a namespace, as a build has it that names none.
        identity = f"/{id}"
        path = os.path.join(self._root, name_of(identity))
        staged = self._stage(path, identity)
        try:
            root = os.open(os.path.join(staged, "files"), _OPEN)
            try:
                os.fchmod(root, 0o755)
                extract(inflate(source)[1], root)
            finally:
                os.close(root)
            self._trash.throw(path)
            os.rename(staged, path)
        except BaseException:
            # SAFETY: a directory that was made here a moment ago, on a name of our own.
            shutil.rmtree(staged, ignore_errors=True)
            raise

    def clear(self) -> int:
        """Remove all; their bytes. A step at work keeps what it has mounted."""
        freed = 0
        for each in self.list():
            freed += each.size
            self._trash.throw(os.path.dirname(each.directory))
        return freed
