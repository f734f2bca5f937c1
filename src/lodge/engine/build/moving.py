"""Doing what COPY, ADD and WORKDIR ask for: files put into a new layer. Blocking, for a thread of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from lodge.archive.compression import NONE, inflate
from lodge.archive.extract import Options, extract
from lodge.archive.source import Source
from lodge.build.files.digest import FileDigests, content_digest
from lodge.build.files.modes import Mode
from lodge.build.files.place import Copier, Layer
from lodge.build.files.select import Root, Selection
from lodge.build.files.view import View, clean, resolve
from lodge.build.graph import CopyAction, Files, MakeDirectory, Owner, Result, Rootfs, Tree, WriteAction
from lodge.errors import Corrupt, InvalidArgument
from lodge.runtime.process.users import parse_group, parse_passwd
from lodge.spec.digest import Digest
from lodge.store.layers import Layers
from lodge.store.merged import Merged

_LARGEST_TABLE = 1 << 20
_TAR_MAGIC = (257, b"ustar")
Ids = tuple[int, int]


class Mover:
    """Files of one store."""

    def __init__(self, layers: Layers, *, user_xattrs: bool) -> None:
        self._layers = layers
        self._user_xattrs = user_xattrs
        self._digests = FileDigests()

    def view(self, result: Result) -> Merged:
        """A result as a view; close it."""
        if isinstance(result, Tree):
            return Merged([result.directory], user_xattrs=self._user_xattrs)
        directories = self._layers.lower_directories(Digest(result.chain)) if result.chain else []
        return Merged(directories, user_xattrs=self._user_xattrs)

    def digest(self, action: CopyAction, result: Result) -> str:
        """What an action would copy, as a digest. NotFound for sources that are not there."""
        with self.view(result) as view:
            selection = _selection(view, action, result)
            return content_digest(
                view,
                selection,
                action.sources,
                self._digests,
                owners=action.owner is None,
                modes=not action.mode.isdigit(),
            )

    def tree_digest(self, result: Result, path: str, ignore: Sequence[str]) -> str:
        """What lies at a path, as a digest."""
        with self.view(result) as view:
            selection = Selection(view, ignore=ignore)
            return content_digest(view, selection, (path or "/",), self._digests)

    def perform(self, operation: Files, inputs: Sequence[Result], directory: str) -> int:
        """Do all actions into a layer's directory; the bytes of its files."""
        base = Rootfs() if operation.detached else inputs[0]
        time = None if operation.epoch is None else operation.epoch * 10**9
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with ExitStack() as stack:
            stack.callback(os.close, top)
            below = stack.enter_context(self.view(base))
            names = stack.enter_context(self.view(inputs[0]))
            layer = stack.enter_context(Layer(top, below, time=time))
            for action in operation.actions:
                if isinstance(action, MakeDirectory):
                    layer.make_directory(action.path, owner_ids(action.owner, names))
                elif isinstance(action, WriteAction):
                    mode = Mode(action.mode).apply(0o100644) if action.mode else 0o644
                    layer.write(action.path, action.data, owner_ids(action.owner, names), mode)
                else:
                    self._copy(action, inputs[action.input], layer, names)
            return layer.size

    def _copy(self, action: CopyAction, source: Result, layer: Layer, names: View) -> None:
        ids = None if action.owner is None else owner_ids(action.owner, names)
        mode = Mode(action.mode) if action.mode else None
        with self.view(source) as view:
            selection = _selection(view, action, source)
            roots = selection.roots(action.sources)
            for root in roots:
                # Of hard links those are made again that one source has inside of it.
                copier = Copier(view, layer, ids=ids, mode=mode)
                if action.unpack and not root.contents and _is_archive(view, root):
                    self._unpack(view, root, action.target, layer, ids)
                else:
                    copier.copy(root, selection, action.target, into=len(roots) > 1 or action.parents)

    def _unpack(self, view: View, root: Root, target: str, layer: Layer, ids: Ids | None) -> None:
        found = view.find(root.path)
        if found is None:
            return
        source = os.open(found.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=found.directory)
        with open(source, "rb", buffering=0) as file:
            place = layer.make_directory(target, ids or (0, 0))
            inner = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=layer.directory(place))
            try:
                _, plain = inflate(file)
                owner: Callable[[int, int], Ids] | None = None
                if ids is not None and ids != (0, 0):
                    fixed = ids
                    owner = lambda _uid, _gid: fixed  # noqa: E731
                done = extract(plain, inner, Options(owner=owner))
                layer.size += done.size
            finally:
                os.close(inner)
            layer.received(place, done.implicit)


def _selection(view: View, action: CopyAction, source: Result) -> Selection:
    ignore = source.ignore if isinstance(source, Tree) else ()
    return Selection(view, ignore=ignore, excludes=action.excludes, parents=action.parents)


def _is_archive(view: View, root: Root) -> bool:
    """Whether a file is a tar, compressed or not: by its bytes, as Docker has it, and not by its name."""
    import stat

    found = view.find(root.path)
    if found is None or not stat.S_ISREG(found.status.st_mode) or not found.status.st_size:
        return False
    fd = os.open(found.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=found.directory)
    with open(fd, "rb", buffering=0) as file:
        try:
            kind, plain = inflate(file)
            source = Source(plain)
            head = source.peek(512)
        except (Corrupt, OSError):
            return False
    offset, magic = _TAR_MAGIC
    return len(head) == 512 and (
        head[offset : offset + 5] == magic or _is_old_tar(head, compressed=kind != NONE)
    )


def _is_old_tar(head: bytes, *, compressed: bool) -> bool:
    """A header from before ustar: its checksum is right."""
    del compressed
    try:
        wanted = int(head[148:156].strip(b" \0") or b"-", 8)
    except ValueError:
        return False
    return wanted == sum(head[:148]) + 8 * 32 + sum(head[156:])


def owner_ids(owner: Owner | None, view: View) -> Ids:
    """Numbers for an owner: names are looked up in the root file system. InvalidArgument for unknown ones."""
    if owner is None:
        return 0, 0
    uid, gid = 0, 0
    if owner.user:
        if owner.user.isdigit():
            uid = gid = int(owner.user)
        else:
            entry = next((e for e in parse_passwd(_table(view, b"etc/passwd")) if e.name == owner.user), None)
            if entry is None:
                raise InvalidArgument(f"unable to find user {owner.user}: no matching entries in passwd file")
            uid, gid = entry.uid, entry.gid
    if owner.group:
        if owner.group.isdigit():
            gid = int(owner.group)
        else:
            group = next((g for g in parse_group(_table(view, b"etc/group")) if g.name == owner.group), None)
            if group is None:
                raise InvalidArgument(
                    f"unable to find group {owner.group}: no matching entries in group file"
                )
            gid = group.gid
    if max(uid, gid) >= 1 << 32:
        raise InvalidArgument("uids and gids are at most 4294967295")
    return uid, gid


def _table(view: View, path: bytes) -> bytes:
    """/etc/passwd or /etc/group, its first MiB, links followed inside the tree."""
    found = view.find(resolve(view, clean(path)))
    if found is None:
        return b""
    try:
        fd = os.open(
            found.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=found.directory
        )
    except OSError:
        return b""
    with open(fd, "rb", buffering=0) as file:
        return file.read(_LARGEST_TABLE) or b""
