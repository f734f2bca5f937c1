"""What `lodge-runtime` remembers of a container between two calls: a directory for each under --root.

`state.json` is the record, written to a temporary name and renamed; `config.json` is the config as it was at
create. A process is remembered by pid and start time, since a pid alone may come to mean another process.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from lodge.errors import AlreadyExists, Corrupt, InvalidArgument, NotFound
from lodge.kernel.process import pidfd_open
from lodge.spec.runtime import RuntimeConfig, decode_config, encode

_ID = re.compile(r"[\w+.-]+", re.ASCII)
_STATE = "state.json"
_CONFIG = "config.json"
# Field 22 of /proc/<pid>/stat, counted behind the name: proc_pid_stat(5).
_START_TIME = 19
_STATE_FIELD = 0


class Record(Struct, rename="camel", kw_only=True):
    """One container. `pid` is 0 until the init exists; `created` is RFC 3339."""

    id: str
    bundle: str
    rootfs: str
    created: str
    owner: str
    pid: int = 0
    start_time: int = 0
    cgroup: str = ""
    annotations: dict[str, str] = {}


_decoder = msgspec.json.Decoder(Record)
_encoder = msgspec.json.Encoder()


class Records:
    """The directory of all containers."""

    def __init__(self, root: str) -> None:
        self.root = root

    def directory(self, identity: str) -> str:
        """Where a container's files are; InvalidArgument for an identity that could lead elsewhere."""
        if not _ID.fullmatch(identity) or identity in (".", "..") or len(identity) > 1024:
            raise InvalidArgument(f"invalid container ID format: {identity!r}")
        return f"{self.root}/{identity}"

    def reserve(self, identity: str) -> str:
        """Take an identity by making its directory; AlreadyExists when it is taken."""
        directory = self.directory(identity)
        os.makedirs(self.root, 0o700, exist_ok=True)
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            raise AlreadyExists("container with given ID already exists") from None
        return directory

    def save(self, record: Record) -> None:
        """Write the record, whole or not at all."""
        _replace(f"{self.directory(record.id)}/{_STATE}", _encoder.encode(record))

    def save_config(self, identity: str, config: RuntimeConfig) -> None:
        """Keep the config that the container was made from."""
        _replace(f"{self.directory(identity)}/{_CONFIG}", encode(config))

    def load(self, identity: str) -> Record:
        """Read a record; NotFound, or Corrupt when the file is none."""
        try:
            with open(f"{self.directory(identity)}/{_STATE}", "rb") as file:
                return _decoder.decode(file.read())
        except FileNotFoundError:
            raise NotFound("container does not exist") from None
        except msgspec.MsgspecError as error:
            raise Corrupt(f"the record of container {identity} can't be read: {error}") from None

    def load_config(self, identity: str) -> RuntimeConfig:
        """Read the kept config."""
        with open(f"{self.directory(identity)}/{_CONFIG}", "rb") as file:
            return decode_config(file.read())

    def all(self) -> Iterator[Record]:
        """Every record that can be read, by identity."""
        try:
            names = sorted(os.listdir(self.root))
        except FileNotFoundError:
            return
        for name in names:
            try:
                yield self.load(name)
            except (NotFound, Corrupt, InvalidArgument, NotADirectoryError):
                continue

    def forget(self, identity: str) -> None:
        """Remove a container's directory; idempotent."""
        # SAFETY: the name was checked, and rmtree does not follow links out of the directory.
        shutil.rmtree(self.directory(identity), ignore_errors=True)


def start_time(pid: int) -> int:
    """When a process began, in clock ticks since boot; ProcessLookupError when it has ended (zombies too)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except FileNotFoundError:
        raise ProcessLookupError(f"process {pid} has ended") from None
    if fields[_STATE_FIELD] in (b"Z", b"X"):
        raise ProcessLookupError(f"process {pid} has ended")
    return int(fields[_START_TIME])


def open_init(record: Record) -> int:
    """A pidfd of the container's init; ProcessLookupError when that has ended, whoever has its pid now."""
    if record.pid <= 0:
        raise ProcessLookupError("the container has no process")
    pidfd = pidfd_open(record.pid)
    try:
        # After the pidfd is open: it is of the process whose start time this is, or that has ended.
        if start_time(record.pid) != record.start_time:
            raise ProcessLookupError(f"process {record.pid} is another one now")
    except BaseException:
        os.close(pidfd)
        raise
    return pidfd


def _replace(path: str, content: bytes) -> None:
    temporary = f"{path}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
    os.rename(temporary, path)
