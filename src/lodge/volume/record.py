"""What a volume is, and the file that says so: `volume.json` beside the data, replaced as a whole."""

from __future__ import annotations

import os
import time

import msgspec
from msgspec import Struct

from lodge.errors import Corrupt

FILE = "volume.json"
DATA = "_data"

# Docker tells anonymous volumes by this label, and so do clients that prune.
ANONYMOUS_LABEL = "com.docker.volume.anonymous"


class Volume(Struct):
    """A volume; `created_at` in nanoseconds since 1970, `mountpoint` the directory of its data."""

    name: str
    driver: str
    options: dict[str, str] | None
    labels: dict[str, str] | None
    created_at: int
    mountpoint: str
    anonymous: bool


class _Record(Struct, forbid_unknown_fields=False):
    """The content of the file; `version` grows when a reader of the old would misread the new."""

    name: str
    driver: str = "local"
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    created_at: int = 0
    anonymous: bool = False
    version: int = 1


_decoder = msgspec.json.Decoder(_Record)


def write_record(directory: str, volume: Volume) -> None:
    """Put the file into a directory: whole and on the disk, or as it was before. OSError ENOSPC and so on."""
    record = _Record(
        name=volume.name,
        driver=volume.driver,
        options=volume.options,
        labels=volume.labels,
        created_at=volume.created_at,
        anonymous=volume.anonymous,
    )
    temporary = f"{directory}/.{FILE}"
    with open(temporary, "wb") as file:
        file.write(msgspec.json.encode(record))
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, f"{directory}/{FILE}")
    sync_directory(directory)


def read_record(directory: str, name: str) -> Volume:
    """The volume of a directory. FileNotFoundError when there is no file, Corrupt when it is none of ours."""
    with open(f"{directory}/{FILE}", "rb") as file:
        content = file.read()
    try:
        record = _decoder.decode(content)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"the record of volume {name} can't be read: {error}") from error
    if record.name != name or record.version != 1:
        raise Corrupt(f"the record of volume {name} is of volume {record.name!r}, version {record.version}")
    return Volume(
        name=name,
        driver=record.driver,
        options=record.options,
        labels=record.labels,
        created_at=record.created_at,
        mountpoint=f"{directory}/{DATA}",
        anonymous=record.anonymous,
    )


def plain_volume(directory: str, name: str) -> Volume:
    """What a directory with data and without a readable record is taken for: data is never given up."""
    return Volume(
        name=name,
        driver="local",
        options=None,
        labels=None,
        created_at=os.stat(directory).st_mtime_ns,
        mountpoint=f"{directory}/{DATA}",
        anonymous=False,
    )


def new_volume(
    root: str, name: str, options: dict[str, str] | None, labels: dict[str, str] | None, anonymous: bool
) -> Volume:
    """A volume of now."""
    if anonymous:
        labels = {**(labels or {}), ANONYMOUS_LABEL: ""}
    return Volume(
        name=name,
        driver="local",
        options=dict(options) if options else None,
        labels=dict(labels) if labels else None,
        created_at=time.time_ns(),
        mountpoint=f"{root}/{name}/{DATA}",
        anonymous=anonymous,
    )


def sync_directory(directory: str) -> None:
    """Have the names in a directory on the disk."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
