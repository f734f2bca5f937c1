"""Unpacked layers: `layers/<chain hex>/fs`, each once, in the form that overlay mounts want.

A layer is unpacked in `layers/.staging` and renamed when it is complete, so what has its name is whole.
Layers don't need those below them to be unpacked, so they go in parallel and while their bytes still
arrive; only what a tar leaves out (attributes of directories it doesn't list, targets of links that lie
below) is completed from below at the end. `l/` holds short names for the options of a mount, which must fit
into one page.
"""

from __future__ import annotations

import base64
import itertools
import os
import threading
from collections.abc import Iterator

import msgspec

from lodge.archive.extract import Extracted, Options, extract
from lodge.archive.source import Readable
from lodge.archive.whiteouts import OverlayWhiteouts
from lodge.errors import NotFound
from lodge.spec.digest import Digest
from lodge.store.completion import complete
from lodge.store.durability import Durability
from lodge.store.leases import Leases
from lodge.store.merged import Merged
from lodge.store.placement import spread
from lodge.store.trash import Trash

_SHORTEST = 6
_STAGING = ".staging"


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer: its chain ID, the one below, its own diff ID, bytes of its files, its short name."""

    chain: Digest
    parent: Digest | None
    diff_id: Digest
    size: int
    link: str
    host: bool = False


class Staged:
    """A layer on its way: extract into it once, then commit or discard it."""

    def __init__(self, path: str, options: Options) -> None:
        self.path = path
        self.extracted = Extracted()
        self._options = options
        os.mkdir(path, 0o700)
        os.mkdir(os.path.join(path, "fs"), 0o755)

    @property
    def files(self) -> str:
        """The directory of the layer's files."""
        return os.path.join(self.path, "fs")

    def extract(self, stream: Readable) -> Extracted:
        """Unpack a plain tar into it. Raises what `archive.extract` raises."""
        root = os.open(self.files, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fchmod(root, 0o755)
            self.extracted = extract(stream, root, self._options)
        finally:
            os.close(root)
        return self.extracted


class Layers:
    """All unpacked layers of a store. Safe in threads; of two commits of one chain the first counts."""

    def __init__(
        self, root: str, durability: Durability, leases: Leases, trash: Trash, *, user_xattrs: bool = False
    ) -> None:
        self._directory = os.path.join(root, "layers")
        self._links = os.path.join(root, "l")
        self._staging = os.path.join(self._directory, _STAGING)
        self._durability = durability
        self._leases = leases
        self._trash = trash
        self.user_xattrs = user_xattrs
        self._cache: dict[str, Layer] = {}
        self._lower: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        self._count = itertools.count()
        for directory in (self._directory, self._links, self._staging):
            os.makedirs(directory, mode=0o700, exist_ok=True)
        spread(self._staging)

    def stage(self) -> Staged:
        """Return an empty place to unpack a layer into. Commit it or discard it."""
        # Without privilege the kernel makes no device nodes, except overlay's own 0/0.
        options = Options(
            whiteouts=OverlayWhiteouts(user=self.user_xattrs), layer=True, devices=os.geteuid() == 0
        )
        return Staged(os.path.join(self._staging, f"{os.getpid()}-{next(self._count)}"), options)

    def discard(self, staged: Staged) -> None:
        """Give up a staged layer. Idempotent."""
        self._trash.throw(staged.path)

    def exists(self, chain: Digest) -> bool:
        """Whether a layer is there; under a lease it then stays."""
        with self._leases.lock:
            self._leases.touch(chain)
            return os.path.exists(os.path.join(self._directory, chain.hex))

    def commit(self, staged: Staged, chain: Digest, parent: Digest | None, diff_id: Digest) -> Layer:
        """Give a staged layer its name. Idempotent: when the chain is there the staged one is dropped.

        The parent must be there. The staged layer is used up in any case. Raises Corrupt when a hard link's
        target is in no layer.
        """
        with self._lock:
            try:
                if self.exists(chain):
                    return self.get(chain)
                self._complete(staged, parent)
                return self._place(staged, chain, parent, diff_id)
            finally:
                self.discard(staged)

    def _place(self, staged: Staged, chain: Digest, parent: Digest | None, diff_id: Digest) -> Layer:
        link = self._short_name(chain)
        layer = Layer(chain=chain, parent=parent, diff_id=diff_id, size=staged.extracted.size, link=link)
        _describe(layer, staged.path)
        marker = layer_marker(chain)
        self._durability.announce([marker])
        with self._leases.lock:
            self._leases.touch(chain)
            self._link(layer, f"../layers/{chain.hex}/fs")
            os.rename(staged.path, os.path.join(self._directory, chain.hex))
        self._durability.placed([marker])
        self._cache[chain] = layer
        return layer

    def commit_host(self, chain: Digest, diff_id: Digest) -> Layer:
        """Make the layer that stands for the machine's own root directory. It has no files of its own."""
        with self._lock:
            if self.exists(chain):
                return self.get(chain)
            layer = Layer(
                chain=chain, parent=None, diff_id=diff_id, size=0, link=self._short_name(chain), host=True
            )
            path = os.path.join(self._staging, f"host-{os.getpid()}-{next(self._count)}")
            os.mkdir(path, 0o700)
            os.symlink("/", os.path.join(path, "fs"))
            _describe(layer, path)
            self._link(layer, "/")
            os.rename(path, os.path.join(self._directory, chain.hex))
            return layer

    def get(self, chain: Digest) -> Layer:
        """Return what is known of a layer. Raises NotFound."""
        layer = self._cache.get(chain)
        if layer is None:
            try:
                with open(os.path.join(self._directory, chain.hex, "layer.json"), "rb") as file:
                    layer = msgspec.json.decode(file.read(), type=Layer, dec_hook=_decode)
            except (FileNotFoundError, msgspec.DecodeError):
                raise NotFound(f"layer {chain} not found") from None
            self._cache[chain] = layer
        return layer

    def stack(self, chain: Digest | None) -> list[Layer]:
        """Return a layer and all below it, the top first."""
        found: list[Layer] = []
        while chain is not None:
            layer = self.get(chain)
            found.append(layer)
            chain = layer.parent
        return found

    def lower_directories(self, chain: Digest | None) -> list[str]:
        """Return the directories of a layer and all below it, the top first, by their short names."""
        if chain is None:
            return []
        found = self._lower.get(chain)
        if found is None:
            found = [os.path.join(self._links, layer.link) for layer in self.stack(chain)]
            self._lower[chain] = found
        return found

    def on_host(self, chain: Digest | None) -> bool:
        """Whether the lowest layer is the machine's own root directory."""
        stack = self.stack(chain)
        return bool(stack) and stack[-1].host

    def remove(self, chain: Digest) -> None:
        """Remove a layer; its files go in the background. Idempotent. Nothing above it may be left."""
        try:
            link = self.get(chain).link
        except NotFound:
            link = None
        with self._lock:
            self._cache.pop(chain, None)
            self._lower.pop(chain, None)
            self._trash.throw(os.path.join(self._directory, chain.hex))
            if link is not None:
                try:
                    os.unlink(os.path.join(self._links, link))
                except FileNotFoundError:
                    pass

    def walk(self) -> Iterator[Layer]:
        """Yield all layers."""
        for name in os.listdir(self._directory):
            if name != _STAGING:
                try:
                    yield self.get(Digest(f"sha256:{name}"))
                except NotFound:
                    continue

    def recover(self) -> None:
        """Remove what a crash left: staged layers, damaged layers, short names that lead nowhere."""
        for name in os.listdir(self._staging):
            self._trash.throw(os.path.join(self._staging, name))
        for name in os.listdir(self._directory):
            path = os.path.join(self._directory, name)
            if name != _STAGING and not os.path.exists(os.path.join(path, "layer.json")):
                self._trash.throw(path)
        for name in os.listdir(self._links):
            if not os.path.exists(os.path.join(self._links, name)):
                os.unlink(os.path.join(self._links, name))

    def _short_name(self, chain: Digest) -> str:
        """Return a name of six letters from the chain ID, or more when another layer has taken that one."""
        letters = base64.b32encode(bytes.fromhex(chain.hex)).decode().rstrip("=")
        target = f"../layers/{chain.hex}/fs"
        for length in range(_SHORTEST, len(letters)):
            try:
                if os.readlink(os.path.join(self._links, letters[:length])) in (target, "/"):
                    return letters[:length]
            except FileNotFoundError:
                return letters[:length]
        raise AssertionError("two chain IDs are equal")

    def _link(self, layer: Layer, target: str) -> None:
        try:
            os.symlink(target, os.path.join(self._links, layer.link))
        except FileExistsError:
            pass

    def _complete(self, staged: Staged, parent: Digest | None) -> None:
        """Fill in from the layers below what the tar of this one left out."""
        below = [os.path.join(self._directory, layer.chain.hex, "fs") for layer in self.stack(parent)]
        if not (staged.extracted.implicit or staged.extracted.missing_links):
            # Only the root itself is asked for, and that is the top layer's.
            below = below[:1]
        root = os.open(staged.files, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with Merged(below, user_xattrs=self.user_xattrs) as merged:
                complete(root, staged.extracted, merged)
        finally:
            os.close(root)


def _describe(layer: Layer, path: str) -> None:
    with open(os.path.join(path, "layer.json"), "wb") as file:
        file.write(msgspec.json.encode(layer, enc_hook=str))


def layer_marker(chain: Digest) -> str:
    """Return the name under which `Durability` knows a layer."""
    return f"layer.{chain.hex}"


def _decode(kind: type, value: object) -> object:
    return kind(value)
