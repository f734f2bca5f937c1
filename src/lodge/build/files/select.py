"""Which files a COPY means: wildcards, directories with all below them, what is excluded."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator, Sequence

from msgspec import Struct

from lodge.build.files.view import View, clean, resolve
from lodge.errors import InvalidArgument, NotFound
from lodge.wire.ignore import Patterns, compile_deep, has_wildcards, match

_DEEPEST = 400


class Item(Struct, frozen=True):
    """One thing to copy: where it is in the source, where it goes below the target, what lstat says."""

    source: bytes
    place: bytes
    status: os.stat_result


class Root(Struct, frozen=True):
    """One source that was found. `place` is "" for what is put as the target itself or into it.

    `contents` says that a directory's contents are meant, not the directory.
    """

    path: bytes
    name: bytes
    place: bytes
    status: os.stat_result
    contents: bool


class Selection:
    """What one action copies. `ignore` is the context's, `excludes` the instruction's."""

    def __init__(
        self, view: View, *, ignore: Sequence[str] = (), excludes: Sequence[str] = (), parents: bool = False
    ) -> None:
        self._view = view
        self._ignore = Patterns(ignore)
        self._excludes = Patterns(excludes)
        self._parents = parents

    def roots(self, sources: Sequence[str]) -> list[Root]:
        """The sources. NotFound in BuildKit's words for one that isn't there, or fits nothing."""
        found: list[Root] = []
        for source in sources:
            matched = list(self._matches(source))
            if not matched:
                raise NotFound(
                    f'"{posixpath.normpath("/" + source)}": not found',
                    hint="paths are relative to the context; .dockerignore may leave it out",
                )
            found += matched
        return found

    def items(self, root: Root) -> Iterator[Item]:
        """Everything below a source that is a directory, parents first."""
        yield from self._below(root.path, root.place, b"", 0)

    def _matches(self, source: str) -> Iterator[Root]:
        pivot, pattern = _pivot(source) if self._parents else ("", source)
        whole = os.fsdecode(clean(posixpath.join("/", pivot, pattern)))
        if not has_wildcards(whole):
            root = self._root(clean(whole), pivot)
            if root is not None:
                yield root
            return
        for path in self._glob(whole):
            root = self._root(path, pivot)
            if root is not None:
                yield root

    def _root(self, path: bytes, pivot: str) -> Root | None:
        place = resolve(self._view, path)
        found = self._view.find(place)
        if found is None or self._left_out(place):
            return None
        if self._excludes and self._excludes.excludes(os.fsdecode(path)) and path:
            return None
        base = clean(pivot)
        kept = path[len(base) :].lstrip(b"/") if self._parents else b""
        return Root(
            path=place,
            name=path.rpartition(b"/")[2],
            place=kept,
            status=found.status,
            contents=found.is_directory,
        )

    def _left_out(self, path: bytes) -> bool:
        """Whether the context's patterns leave it out; a directory stays while something below may stay."""
        if not path or not self._ignore or not self._ignore.excludes(os.fsdecode(path)):
            return False
        found = self._view.find(path)
        if found is None or not found.is_directory or not self._ignore.has_exceptions:
            return True
        return not any(True for _ in self._below(path, b"", b"", 0))

    def _glob(self, pattern: str) -> Iterator[bytes]:
        if "**" in pattern and self._parents:
            compiled = compile_deep(pattern)
            for path in self._every(b"", 0):
                if compiled.fullmatch(os.fsdecode(path)):
                    yield path
            return
        yield from self._descend([b""], pattern.split("/"))

    def _descend(self, directories: list[bytes], parts: list[str]) -> Iterator[bytes]:
        part, rest = parts[0], parts[1:]
        found: list[bytes] = []
        for directory in directories:
            prefix = directory + b"/" if directory else b""
            if not has_wildcards(part):
                names = [os.fsencode(part)]
            else:
                here = self._view.children(resolve(self._view, directory))
                names = [name for name in sorted(here) if _matches_name(part, name)]
            found += [
                prefix + name
                for name in names
                if self._view.find(resolve(self._view, prefix + name)) is not None
            ]
        if rest:
            yield from self._descend(found, rest)
        else:
            yield from found

    def _every(self, directory: bytes, depth: int) -> Iterator[bytes]:
        _check_depth(depth)
        for name, status in sorted(self._view.children(directory).items()):
            path = directory + b"/" + name if directory else name
            yield path
            if stat.S_ISDIR(status.st_mode):
                yield from self._every(path, depth + 1)

    def _below(self, path: bytes, place: bytes, relative: bytes, depth: int) -> Iterator[Item]:
        _check_depth(depth)
        for name, status in sorted(self._view.children(path).items()):
            source = path + b"/" + name if path else name
            target = place + b"/" + name if place else name
            inner = relative + b"/" + name if relative else name
            directory = stat.S_ISDIR(status.st_mode)
            left_out = self._hidden(source, inner)
            if not left_out:
                yield Item(source, target, status)
            if not directory or (left_out and not self._may_return()):
                continue
            below = self._below(source, target, inner, depth + 1)
            if left_out:
                yield from _with_parent(Item(source, target, status), below)
            else:
                yield from below

    def _hidden(self, source: bytes, inner: bytes) -> bool:
        if self._ignore and self._ignore.excludes(os.fsdecode(source)):
            return True
        return bool(self._excludes) and self._excludes.excludes(
            os.fsdecode(source if self._parents else inner)
        )

    def _may_return(self) -> bool:
        return self._ignore.has_exceptions or self._excludes.has_exceptions


def _with_parent(parent: Item, below: Iterator[Item]) -> Iterator[Item]:
    """A directory that was left out comes back when something below it does."""
    for number, item in enumerate(below):
        if not number:
            yield parent
        yield item


def _pivot(source: str) -> tuple[str, str]:
    """`a/./b` keeps `b` only of the path."""
    head, mark, tail = source.partition("/./")
    return (head, tail) if mark else ("", source.removeprefix("./"))


def _matches_name(pattern: str, name: bytes) -> bool:
    return match(pattern, os.fsdecode(name))


def _check_depth(depth: int) -> None:
    if depth > _DEEPEST:
        raise InvalidArgument("directories are nested too deeply")
