"""The vocabulary between an engine and a file worker.

    engine                        worker
      | order (+ fd) ---------------> |
      | <------------------- PathIs   |   of StatPath and ArchiveOut: before the first byte of the archive
      | <----- Done or Failed         |   after the last; then the link ends

ArchiveOut and Export write a tar archive to the fd (a pipe or a socket), ArchiveIn reads one from it, plain
or compressed. A worker serves one order. Should the other end of the fd be closed, it fails and ends.
"""

from __future__ import annotations

from msgspec import Struct

from lodge.runtime.exit_record import ProcessIdentity
from lodge.runtime.messages import Done, Failed, Message, Request, decoder_of
from lodge.spec.mount import Mount as RootMount
from lodge.spec.runtime import IdMapping, Mount


class Site(Struct, kw_only=True, omit_defaults=True):
    """Where a container's files are.

    Of a running one, `init` is its first process: the job sees what the program sees. Else `root_mounts` are
    performed on `place` (an empty directory of the engine's), or without them `root_path` is taken; the binds
    among `mounts` (a config's list) are put on top. The mappings are those of the container's user namespace:
    owners are shown and stored as they are inside.
    """

    init: ProcessIdentity | None = None
    place: str = ""
    root_mounts: list[RootMount] = []
    root_path: str = ""
    mounts: list[Mount] = []
    uid_mappings: list[IdMapping] = []
    gid_mappings: list[IdMapping] = []


class FileOrder(Request):
    """The base of what a worker is asked."""

    site: Site


class StatPath(FileOrder):
    """What is at a path? Answered by PathIs; NotFound when nothing is."""

    path: str


class ArchiveOut(FileOrder):
    """Send what is at a path as an archive, its members named after the path's last part."""

    path: str


class ArchiveIn(FileOrder):
    """Extract an archive into the directory at a path; InvalidArgument when that is none.

    With `keep_kinds` a directory never replaces something else, nor the other way round. `owner` is a Docker
    user string, looked up in the container, to whom all shall belong; "" keeps the archive's owners.
    """

    path: str
    keep_kinds: bool = False
    owner: str = ""


class Export(FileOrder):
    """Send the whole root file system, without what is mounted in it."""


class PathIs(Message):
    """A file: its name as Docker's clients expect it, st_mode, and where a symbolic link leads."""

    name: str
    size: int
    mode: int
    mtime_ns: int
    link_target: str = ""


ToWorker = StatPath | ArchiveOut | ArchiveIn | Export
FromWorker = Done | Failed | PathIs

to_worker = decoder_of(ToWorker)
from_worker = decoder_of(FromWorker)
