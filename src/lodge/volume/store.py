"""The volumes of one data root: `<root>/<name>/_data` with its record beside it. Blocking and thread-safe.

A volume appears by one rename and goes by one rename, so after a crash it is there whole or not at all;
debris of the crash is removed when the store is opened. A root has one owner at a time, who holds the lock
of the data root: what is on the disk is read once.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import threading

from lodge.errors import AlreadyExists, Corrupt, Exhausted, NotFound, Unavailable
from lodge.spec.mount import Mount
from lodge.volume.mounting import Resolve, mount_of, resolve_address
from lodge.volume.names import anonymous_name, check_name, is_name
from lodge.volume.options import check_options
from lodge.volume.record import (
    DATA,
    Volume,
    new_volume,
    plain_volume,
    read_record,
    sync_directory,
    write_record,
)
from lodge.volume.usage import tree_size

# No volume's name begins with a dot.
_NEW, _TRASH = ".new-", ".trash-"
_FULL = (errno.ENOSPC, errno.EDQUOT)

_Many = list


class VolumeStore:
    """All volumes below a directory, which is made when it is missing."""

    def __init__(self, root: str | os.PathLike[str], *, resolve: Resolve = resolve_address) -> None:
        self._root = os.path.abspath(root)
        self._resolve = resolve
        self._lock = threading.Lock()
        os.makedirs(self._root, 0o700, exist_ok=True)
        self._sweep()
        self._volumes = self._load()

    def create(
        self,
        name: str = "",
        *,
        driver: str = "local",
        options: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
        anonymous: bool = False,
    ) -> Volume:
        """Make a volume; one of this name that is there already is returned as it is, as Docker does.

        Without a name it becomes an anonymous one. InvalidArgument for a bad name or option, NotFound for a
        driver other than "local", Exhausted when the disk is full.
        """
        if driver not in ("", "local"):
            raise NotFound(
                f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found'
            )
        anonymous = anonymous or not name
        name = name or anonymous_name()
        check_name(name)
        check_options(name, options or {})
        with self._lock:
            if (known := self._volumes.get(name)) is not None:
                return known
            volume = new_volume(self._root, name, options, labels, anonymous)
            try:
                self._make(volume)
            except OSError as error:
                if error.errno in _FULL:
                    raise Exhausted(f"create {name}: no space left on device") from error
                raise
            self._volumes[name] = volume
            return volume

    def get(self, name: str) -> Volume:
        """One volume; NotFound when there is none of this name."""
        with self._lock:
            volume = self._volumes.get(name)
        if volume is None:
            raise NotFound(f"get {name}: no such volume")
        return volume

    def exists(self, name: str) -> bool:
        """Whether there is a volume of this name."""
        with self._lock:
            return name in self._volumes

    def list(self) -> _Many[Volume]:
        """All volumes, by name."""
        with self._lock:
            return sorted(self._volumes.values(), key=lambda volume: volume.name)

    def remove(self, name: str) -> None:
        """Delete a volume with its data; who uses it is the caller's to know. Works on a full disk.

        NotFound when there is none. Unavailable when the data could not be deleted whole: the volume is gone
        then, and the rest is deleted when the store is opened the next time.
        """
        with self._lock:
            if name not in self._volumes:
                raise NotFound(f"get {name}: no such volume")
            trash = self._throw_away(name)
            del self._volumes[name]
        try:
            _delete(trash)
        except OSError as error:
            raise Unavailable(
                f"remove {name}: {error}", hint="what is left is deleted when the engine starts again"
            ) from error

    def size(self, name: str) -> int:
        """Bytes of the files in a volume, each file once; 0 for what is mounted by options."""
        try:
            return tree_size(self.get(name).mountpoint)
        except FileNotFoundError:
            return 0

    def mount(self, name: str, subpath: str = "") -> Mount:
        """What the runtime mounts to show a volume, or the directory or file at `subpath` inside it.

        NotFound when there is no such volume, InvalidArgument for a subpath that does not exist inside,
        Unavailable when a network volume's host name has no address.
        """
        return mount_of(self.get(name), subpath, self._resolve)

    def _make(self, volume: Volume) -> None:
        """Everything under another name first, then one rename."""
        fresh = f"{self._root}/{_NEW}{secrets.token_hex(8)}"
        try:
            os.mkdir(fresh, 0o700)
            os.mkdir(f"{fresh}/{DATA}")
            # A program of any user may enter; the directories above are closed to the host's users.
            os.chmod(f"{fresh}/{DATA}", 0o755)
            write_record(fresh, volume)
            os.rename(fresh, f"{self._root}/{volume.name}")
        except BaseException as error:
            _delete_after(error, fresh)
            if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise AlreadyExists(
                    f"create {volume.name}: something else has this name on the disk"
                ) from error
            raise
        sync_directory(self._root)

    def _throw_away(self, name: str) -> str:
        trash = f"{self._root}/{_TRASH}{secrets.token_hex(8)}"
        try:
            os.rename(f"{self._root}/{name}", trash)
        except FileNotFoundError:
            return trash  # somebody has deleted the directory by hand
        sync_directory(self._root)
        return trash

    def _sweep(self) -> None:
        """Remove what a crash left half made or half deleted."""
        for entry in os.listdir(self._root):
            if entry.startswith((_NEW, _TRASH)):
                try:
                    _delete(f"{self._root}/{entry}")
                except OSError:
                    continue  # busy or read-only: it has no name any more, and the next start tries again

    def _load(self) -> dict[str, Volume]:
        volumes = {}
        for name in os.listdir(self._root):
            directory = f"{self._root}/{name}"
            if not is_name(name) or not os.path.isdir(f"{directory}/{DATA}"):
                continue
            try:
                volumes[name] = read_record(directory, name)
            except (FileNotFoundError, Corrupt):
                volumes[name] = plain_volume(directory, name)
        return volumes


def _delete(directory: str) -> None:
    try:
        # SAFETY: only a directory that was renamed to a name of ours; rmtree walks by file descriptors and
        # follows no link, and what containers mount is never mounted here.
        shutil.rmtree(directory)
    except FileNotFoundError:
        pass


def _delete_after(error: BaseException, directory: str) -> None:
    """Clean up after a failure, which stays the one that is told."""
    try:
        _delete(directory)
    except OSError as second:
        error.add_note(f"and {directory} could not be removed: {second}")
