"""Who a program runs as, read from the container's own /etc/passwd and /etc/group.

Docker's rules (moby/sys/user, GetExecUserPath): `name`, `uid`, either with `:group` or `:gid`. A number is
never looked up as a name (CVE-2026-46680, CVE-2026-30892). Supplementary groups from /etc/group apply only
when no group was asked for. The files are hostile input: only their first MiB is read (CVE-2026-47262),
lines that make no sense are skipped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from lodge.errors import InvalidArgument, StartFailed
from lodge.kernel import paths

MAX_FILE = 1 << 20
MAX_ID = (1 << 31) - 1
_CHUNK = 1 << 16
_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)


class PasswdEntry(Struct, frozen=True):
    """One line of /etc/passwd, without what nobody here asks for."""

    name: str
    uid: int
    gid: int
    home: str


class GroupEntry(Struct, frozen=True):
    """One line of /etc/group."""

    name: str
    gid: int
    members: tuple[str, ...]


class Account(Struct, frozen=True):
    """The result: numbers, and the home directory ("/" for a uid that has no entry)."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str = "/"


class Files(Struct, frozen=True):
    """The two files' entries, in order."""

    passwd: tuple[PasswdEntry, ...] = ()
    group: tuple[GroupEntry, ...] = ()


def read_files(rootfd: int, *, groups: bool = True) -> Files:
    """Read both files (or /etc/passwd alone) inside a root; a missing or odd file has no entries."""
    passwd = tuple(parse_passwd(_read(rootfd, "/etc/passwd")))
    return Files(passwd, tuple(parse_group(_read(rootfd, "/etc/group"))) if groups else ())


def parse_passwd(text: bytes) -> Iterator[PasswdEntry]:
    """The entries of a passwd(5) file."""
    for fields in _lines(text):
        if len(fields) >= 4 and (uid := _number(fields[2])) is not None:
            gid = _number(fields[3])
            yield PasswdEntry(fields[0], uid, 0 if gid is None else gid, fields[5] if len(fields) > 5 else "")


def parse_group(text: bytes) -> Iterator[GroupEntry]:
    """The entries of a group(5) file."""
    for fields in _lines(text):
        if len(fields) >= 3 and (gid := _number(fields[2])) is not None:
            members = fields[3].split(",") if len(fields) > 3 and fields[3] else ()
            yield GroupEntry(fields[0], gid, tuple(members))


def resolve(user: str, groups: Iterable[str], files: Files) -> Account:
    """Turn Docker's user string and further groups into numbers.

    The account's groups begin with its primary group, so that a group that is denied something stays denied
    (CVE-2022-36109). StartFailed for names that have no entry, InvalidArgument for numbers out of range.
    """
    who, _, group = user.partition(":")
    entry = _find_user(who, files.passwd)
    uid, gid, home = (entry.uid, entry.gid, entry.home) if entry else (_own_number(who), 0, "/")
    supplementary: list[int] = []
    if group:
        gid = _group_number(group, files.group)
    elif entry:
        supplementary = [g.gid for g in files.group if entry.name in g.members]
    supplementary += [_group_number(name, files.group) for name in groups]
    return Account(uid, gid, tuple(dict.fromkeys((gid, *supplementary))), home or "/")


def home_of(uid: int, files: Files) -> str:
    """The home directory of a uid, "/" when it has no entry."""
    return next((entry.home for entry in files.passwd if entry.uid == uid and entry.home), "/")


def _find_user(who: str, entries: tuple[PasswdEntry, ...]) -> PasswdEntry | None:
    number = _number(who) if who else 0
    if number is None:
        found = next((entry for entry in entries if entry.name == who), None)
        if found is None:
            raise StartFailed(f"unable to find user {who}: no matching entries in passwd file")
        return found
    return next((entry for entry in entries if entry.uid == number), None)


def _group_number(name: str, entries: tuple[GroupEntry, ...]) -> int:
    number = _number(name)
    if number is not None:
        return _in_range(number)
    found = next((entry for entry in entries if entry.name == name), None)
    if found is None:
        raise StartFailed(f"unable to find group {name}: no matching entries in group file")
    return found.gid


def _own_number(who: str) -> int:
    return _in_range(_number(who) or 0) if who else 0


def _in_range(number: int) -> int:
    if not 0 <= number <= MAX_ID:
        raise InvalidArgument(f"uids and gids must be in range 0-{MAX_ID}")
    return number


def _number(text: str) -> int | None:
    """A decimal number, None for what is none: a name."""
    return int(text) if len(text) < 20 and _NUMBER.fullmatch(text) else None


def _lines(text: bytes) -> Iterator[list[str]]:
    for line in text.split(b"\n"):
        stripped = line.strip()
        if stripped and not stripped.startswith(b"#"):
            yield [field.strip() for field in stripped.decode("utf-8", "surrogateescape").split(":")]


def _read(rootfd: int, path: str) -> bytes:
    """The first MiB of a regular file, without the line that is cut off there."""
    try:
        # A FIFO must not make the start wait for ever.
        fd = paths.open_in_root(rootfd, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        parts: list[bytes] = []
        size = 0
        while size < MAX_FILE and (part := os.read(fd, min(_CHUNK, MAX_FILE - size))):
            parts.append(part)
            size += len(part)
    except OSError:
        return b""
    finally:
        os.close(fd)
    text = b"".join(parts)
    return text if size < MAX_FILE else text[: text.rfind(b"\n") + 1]
