"""Secrets for plain containers: small values kept for root only, shown to a container as files.

One directory each, `<root>/<id>/` with the value and its record; it appears by one rename and goes by one, so
after a crash it is there whole or not at all. A value is never part of any answer: only `show` reads it, into
a file for the container. Blocking and thread-safe. The wish for one is `planning.mount_wishes`'s.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import threading
import time

import msgspec
from msgspec import Struct

from lodge.errors import AlreadyExists, Corrupt, Exhausted, InvalidArgument, NotFound
from lodge.volume.record import sync_directory

LARGEST = 500 << 10
"""Bytes of a value, as in Docker's swarms."""
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,62}[a-zA-Z0-9])?", re.ASCII)
_NEW = ".new-"
_VALUE, _RECORD = "value", "secret.json"


class Secret(Struct, frozen=True, kw_only=True):
    """What everybody may know of a secret; the time in nanoseconds."""

    id: str
    name: str
    created_at: int
    labels: dict[str, str] = {}


_decode = msgspec.json.Decoder(Secret).decode


class SecretStore:
    """All secrets below a directory, which is made when it is missing."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._secrets: dict[str, Secret] = {}
        if os.path.isdir(root):
            self._load()

    def _load(self) -> None:
        for entry in os.listdir(self._root):
            path = f"{self._root}/{entry}"
            if entry.startswith(_NEW):
                # SAFETY: half a secret, or one that was being removed; the prefix is never part of an id.
                shutil.rmtree(path)
                continue
            try:
                with open(f"{path}/{_RECORD}", "rb") as file:
                    found = _decode(file.read())
            except (OSError, msgspec.MsgspecError) as error:
                raise Corrupt(f"the record of secret {entry} can't be read: {error}") from error
            self._secrets[found.id] = found

    def create(self, name: str, value: bytes, labels: dict[str, str] | None = None) -> Secret:
        """Keep one. InvalidArgument for a bad name or size, AlreadyExists for a name in use."""
        if not _NAME.fullmatch(name):
            raise InvalidArgument(
                "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character"
                " must be [a-zA-Z0-9]"
            )
        if not 1 <= len(value) <= LARGEST:
            raise InvalidArgument(f"secret data must be larger than 0 and less than {LARGEST + 1} bytes")
        with self._lock:
            if any(known.name == name for known in self._secrets.values()):
                raise AlreadyExists(f"secret {name} already exists")
            made = Secret(
                id=secrets.token_hex(13)[:25], name=name, created_at=time.time_ns(), labels=labels or {}
            )
            try:
                self._write(made, value)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise Exhausted(f"create {name}: no space left on device") from error
                raise
            self._secrets[made.id] = made
        return made

    def _write(self, secret: Secret, value: bytes) -> None:
        os.makedirs(self._root, 0o700, exist_ok=True)
        directory = f"{self._root}/{_NEW}{secret.id}"
        os.mkdir(directory, 0o700)
        try:
            write_new(f"{directory}/{_VALUE}", value, 0o600)
            write_new(f"{directory}/{_RECORD}", msgspec.json.encode(secret), 0o600)
            sync_directory(directory)
            os.rename(directory, f"{self._root}/{secret.id}")
        except OSError:
            # SAFETY: made a few lines above.
            shutil.rmtree(directory, ignore_errors=True)
            raise
        sync_directory(self._root)

    def list(self) -> list[Secret]:
        """All, by name."""
        return sorted(self._secrets.values(), key=lambda secret: secret.name)

    def get(self, name: str) -> Secret:
        """One by id, name or the beginning of an id; NotFound "secret x not found"."""
        found = self._secrets.get(name) or next((s for s in self._secrets.values() if s.name == name), None)
        if found is None and name:
            beginnings = [s for s in self._secrets.values() if s.id.startswith(name)]
            if len(beginnings) > 1:
                raise InvalidArgument(f"secret {name} is ambiguous ({len(beginnings)} matches found)")
            found = beginnings[0] if beginnings else None
        if found is None:
            raise NotFound(f"secret {name} not found")
        return found

    def show(self, id: str, path: str, *, mode: int, uid: int, gid: int) -> None:
        """Put the value into a new file; NotFound when the secret is gone."""
        try:
            with open(f"{self._root}/{self.get(id).id}/{_VALUE}", "rb") as file:
                value = file.read()
        except FileNotFoundError:
            raise NotFound(f"secret {id} not found") from None
        write_new(path, value, mode, owner=(uid, gid))

    def remove(self, name: str) -> Secret:
        """Forget one; what containers have of it stays until they end."""
        with self._lock:
            found = self.get(name)
            directory = f"{self._root}/{found.id}"
            leaving = f"{self._root}/{_NEW}{found.id}"
            os.rename(directory, leaving)
            del self._secrets[found.id]
            # SAFETY: the id is one that this store made.
            shutil.rmtree(leaving)
        return found


def write_new(path: str, data: bytes, mode: int, *, owner: tuple[int, int] = (0, 0)) -> None:
    """Make a file that was not there, with its owner and mode, whole and synced."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fchown(fd, *owner)
        os.fchmod(fd, mode)
        os.fsync(fd)
