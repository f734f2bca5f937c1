"""What the layers of an image do to each other: what each adds, changes, deletes, and what is wasted.

Values made of layer archives (image-spec, layer.md); a layer is read once, forward, and only its list of
files stays. No I/O but the streams that are given.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from lodge.archive import whiteouts
from lodge.archive.compression import inflate
from lodge.archive.header import Member
from lodge.archive.reader import TarReader
from lodge.archive.source import Readable
from lodge.errors import Corrupt

Change = Literal["added", "modified", "deleted"]
_TYPES = {b"0": "file", b"\0": "file", b"7": "file", b"1": "file", b"2": "link", b"3": "device",
          b"4": "device", b"5": "dir", b"6": "fifo"}  # fmt: skip
_MOST_ENTRIES = 5_000_000


class Entry(Struct, frozen=True, omit_defaults=True):
    """A file of a layer. `size` is in bytes; a hard link has none of its own. `link` is where it leads."""

    kind: str
    size: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    link: str = ""
    digest: str = ""


class Layer(Struct):
    """One layer: its files, the names that it deletes, the directories that it empties.

    Paths have no slash at either end. `size` counts the bytes of its files.
    """

    entries: dict[str, Entry]
    deleted: set[str]
    emptied: set[str]
    size: int = 0


class Step(Struct, frozen=True):
    """What a layer does to one path. `size` is what it brings, or for a deletion what it hides."""

    path: str
    change: Change
    size: int
    kind: str


class Waste(Struct, frozen=True):
    """A path whose bytes lie in several layers though at most the last ones are seen."""

    path: str
    count: int
    size: int


def read_layer(stream: Readable) -> Layer:
    """Read one layer's archive, compressed or not, to its end. Raises Corrupt."""
    plain = inflate(stream)[1]
    reader = TarReader(plain)
    layer = Layer({}, set(), set())
    for member in reader:
        path = _clean(member.name)
        directory, base = posixpath.split(path)
        raw = base.encode("utf-8", "surrogateescape")
        if raw == whiteouts.OPAQUE:
            layer.emptied.add(directory)
        elif raw.startswith(whiteouts.META) or not path:
            continue
        elif (hidden := whiteouts.split(raw)) is not None:
            layer.deleted.add(posixpath.join(directory, hidden.decode("utf-8", "surrogateescape")))
        else:
            layer.entries[path] = _entry(reader, member)
            layer.size += layer.entries[path].size
        if len(layer.entries) + len(layer.deleted) > _MOST_ENTRIES:
            raise Corrupt(f"a layer with more than {_MOST_ENTRIES} entries")
    plain.drain()
    return layer


def _entry(reader: TarReader, member: Member) -> Entry:
    kind, digest = member.type, ""
    if kind in (b"0", b"\0", b"7") and member.size:
        hasher = hashlib.sha256()
        for piece in reader.pieces():
            hasher.update(piece)
        digest = hasher.hexdigest()
    link = member.link.decode("utf-8", "surrogateescape")
    return Entry(
        kind=_TYPES.get(kind, "other"),
        size=member.real_size if digest else 0,
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        link=link,
        digest=digest or (f"link:{_clean(member.link)}" if kind == b"1" else ""),
    )


def _clean(name: bytes) -> str:
    return posixpath.normpath("/" + name.decode("utf-8", "surrogateescape")).lstrip("/")


class Stack:
    """Layers on each other, the base first."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = list(layers)
        self.steps: list[list[Step]] = []
        self.tree: dict[str, Entry] = {}
        self._copies: dict[str, list[int]] = {}
        self._children: dict[str, set[str]] = {}
        for layer in self.layers:
            self.steps.append(sorted(self._apply(layer), key=lambda step: step.path))

    @property
    def size(self) -> int:
        """Bytes of all files of all layers."""
        return sum(layer.size for layer in self.layers)

    @property
    def seen(self) -> int:
        """Bytes of the files that a container sees."""
        return sum(entry.size for entry in self.tree.values())

    @property
    def efficiency(self) -> float:
        """The part of the bytes that a container sees: 1.0 when nothing is wasted."""
        return self.seen / self.size if self.size else 1.0

    def waste(self) -> list[Waste]:
        """Paths that cost more than what is seen of them, the worst first."""
        found = []
        for path, sizes in self._copies.items():
            entry = self.tree.get(path)
            lost = sum(sizes) - (entry.size if entry is not None else 0)
            if lost > 0:
                found.append(Waste(path, len(sizes), lost))
        return sorted(found, key=lambda one: (-one.size, one.path))

    def _apply(self, layer: Layer) -> Iterator[Step]:
        for directory in layer.emptied:
            yield from self._delete(directory, layer, itself=False)
        for path in layer.deleted:
            yield from self._delete(path, layer, itself=True)
        for path, entry in layer.entries.items():
            before = self.tree.get(path)
            if before is not None and before.kind == "dir" and entry.kind != "dir":
                yield from self._delete(path, layer, itself=False)
            if before is None:
                yield Step(path, "added", entry.size, entry.kind)
            elif before != entry or entry.size:
                yield Step(path, "modified", entry.size, entry.kind)
            if entry.size:
                self._copies.setdefault(path, []).append(entry.size)
            self._add(path, entry)

    def _add(self, path: str, entry: Entry) -> None:
        self.tree[path] = entry
        while path:
            parent = path.rpartition("/")[0]
            known = self._children.setdefault(parent, set())
            if path in known:
                return
            known.add(path)
            path = parent

    def _below(self, path: str) -> Iterator[str]:
        """What the tree has below a directory. Names that are gone stay in the index and are passed over."""
        stack = list(self._children.get(path, ()))
        while stack:
            one = stack.pop()
            stack.extend(self._children.get(one, ()))
            if one in self.tree:
                yield one

    def _delete(self, path: str, layer: Layer, *, itself: bool) -> Iterator[Step]:
        for one in list(self._below(path)):
            gone = self.tree.pop(one)
            if one not in layer.entries:
                yield Step(one, "deleted", gone.size, gone.kind)
        if itself and (gone_itself := self.tree.pop(path, None)) is not None and path not in layer.entries:
            yield Step(path, "deleted", gone_itself.size, gone_itself.kind)


class Difference(Struct, frozen=True):
    """How a path differs between two images. `what` names the fields of a modification."""

    path: str
    change: Change
    before: int
    after: int
    what: str = ""


def differences(first: dict[str, Entry], second: dict[str, Entry]) -> list[Difference]:
    """What leads from one tree to another, by path."""
    found = []
    for path in sorted(first.keys() | second.keys()):
        a, b = first.get(path), second.get(path)
        if a is None and b is not None:
            found.append(Difference(path, "added", 0, b.size))
        elif b is None and a is not None:
            found.append(Difference(path, "deleted", a.size, 0))
        elif a is not None and b is not None and a != b:
            found.append(Difference(path, "modified", a.size, b.size, _what(a, b)))
    return found


def _what(a: Entry, b: Entry) -> str:
    names = {"kind": a.kind != b.kind, "content": a.digest != b.digest, "mode": a.mode != b.mode}
    names["owner"] = (a.uid, a.gid) != (b.uid, b.gid)
    names["target"] = a.kind == b.kind == "link" and a.link != b.link
    return ", ".join(name for name, differs in names.items() if differs)
