"""A push: from an image in the store to its registry, with the progress that Docker's clients know.

Layers go in parallel, then the configuration, then the manifest, an index last: nothing in the registry ever
names what isn't there. Blocks; one call is one push.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec
from msgspec import Struct

from lodge.archive.source import Readable
from lodge.distribution import answers
from lodge.distribution.abort import Abort
from lodge.distribution.repository import Repository
from lodge.distribution.upload import Upload
from lodge.errors import Forbidden, NotFound, Unsupported
from lodge.spec.descriptor import LODGE_HOST_LAYER, OCI_LAYER_ZSTD, OCI_MANIFEST, Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import CONFIG_CAP, MANIFEST_CAP, ImageConfig, Index, Manifest
from lodge.spec.platform import Platform, host
from lodge.spec.reference import Reference

_INTERVAL = 0.1
Tell = Callable[[str, str, int, int], None]
"""Called with a status, the id it is about ("" for none), bytes done, bytes in all."""


class Departure(Protocol):
    """Where images leave from; `lodge.store.departure.Departure` is one. The caller holds a lease."""

    def has_blob(self, digest: Digest, /) -> bool:
        """Whether a blob is here."""

    def read(self, digest: Digest, cap: int, /) -> bytes:
        """Return a small blob."""

    def put(self, data: bytes, /) -> Digest:
        """Keep a small blob."""

    def open(self, digest: Digest, start: int, /) -> AbstractContextManager[Readable]:
        """Begin to read a blob in the middle."""

    def holders(self, domain: str, /) -> dict[str, list[str]]:
        """Return the repositories of a registry that hold a blob, by its digest."""

    def knows(self, beginning: str, /) -> bool:
        """Whether a name begins so: whether a repository was pulled from or pushed to."""

    def compressed(self, layer: Descriptor, kind: str | None, level: int | None, owner: str, /) -> Descriptor:
        """Return a layer as it is sent."""


class Wishes(Struct, frozen=True, kw_only=True):
    """How to push: only one platform of an index; layers compressed by `compression` at `level`."""

    platform: Platform | None = None
    compression: str | None = None
    level: int | None = None


class Pushed(Struct, frozen=True, kw_only=True):
    """What is in the registry now: `part` says that it is one platform's manifest instead of the index."""

    target: Descriptor
    part: bool = False


class Pusher:
    """Pushes images to one repository."""

    def __init__(
        self,
        repository: Repository,
        reference: Reference,
        departure: Departure,
        pool: ThreadPoolExecutor,
        tell: Tell,
        abort: Abort,
        wishes: Wishes,
        *,
        attempts: int,
    ) -> None:
        self._repository = repository
        self._reference = reference
        self._departure = departure
        self._pool = pool
        self._tell = _Line(tell)
        self._abort = abort
        self._wishes = wishes
        self._attempts = attempts
        self._holders = departure.holders(reference.domain)
        self._known = departure.knows(f"{reference.name}@")

    def push(self, target: Descriptor) -> Pushed:
        """Bring an image there under the reference's tag. Raises Forbidden "denied: ...", Unavailable, ..."""
        try:
            if target.is_index and self._wishes.platform is None and self._whole(target):
                pushed = self._index(target)
                self._name(pushed)
                return Pushed(target=pushed)
            chosen = self._of_platform(target) if target.is_index else target
            pushed = self._manifest(chosen)
            self._name(pushed)
            return Pushed(target=pushed, part=target.is_index)
        except answers.RegistryError as error:
            raise explained(error) from error

    def _name(self, target: Descriptor) -> None:
        data = self._departure.read(target.id, MANIFEST_CAP)
        self._repository.put_manifest(self._reference.tag or str(target.id), data, target.media_type)

    # ---- what goes

    def _whole(self, index: Descriptor) -> bool:
        """Whether every manifest that an index names is here whole, or in the registry already."""
        return all(
            self._is_here(entry) or self._is_there(entry)
            for entry in Index.decode(self._departure.read(index.id, MANIFEST_CAP)).manifests
        )

    def _is_here(self, entry: Descriptor) -> bool:
        if not self._departure.has_blob(entry.id):
            return False
        data = self._departure.read(entry.id, MANIFEST_CAP)
        if entry.is_index:
            return all(self._is_here(each) for each in Index.decode(data).manifests)
        manifest = Manifest.decode(data)
        return all(self._departure.has_blob(each.id) for each in (manifest.config, *manifest.layers))

    def _is_there(self, entry: Descriptor) -> bool:
        try:
            self._repository.resolve(entry.digest)
        except answers.RegistryError as error:
            if error.refusal.status == 404:
                return False
            raise
        return True

    def _of_platform(self, index: Descriptor) -> Descriptor:
        entries = Index.decode(self._departure.read(index.id, MANIFEST_CAP)).manifests
        found = [(entry.platform, entry) for entry in entries if entry.is_manifest and self._is_here(entry)]
        wanted = self._wishes.platform or host()
        chosen = wanted.choose(found)
        if chosen is None and self._wishes.platform is None and found:
            chosen = found[0][1]
        if chosen is None:
            raise NotFound(f"the image has no manifest for {wanted} here that could be pushed")
        return chosen

    # ---- how it goes

    def _index(self, target: Descriptor) -> Descriptor:
        """Push an index after all it names. It is named with others' digests when layers were compressed."""
        index = Index.decode(self._departure.read(target.id, MANIFEST_CAP))
        entries: list[Descriptor] = []
        for entry in index.manifests:
            if not self._is_here(entry):
                entries.append(entry)
                continue
            pushed = self._index(entry) if entry.is_index else self._manifest(entry)
            data = self._departure.read(pushed.id, MANIFEST_CAP)
            self._repository.put_manifest(pushed.digest, data, pushed.media_type)
            entries.append(
                msgspec.structs.replace(
                    entry, digest=pushed.digest, size=pushed.size, media_type=pushed.media_type
                )
            )
        if tuple(entries) == index.manifests:
            return target
        data = msgspec.structs.replace(index, manifests=tuple(entries)).encode()
        return Descriptor(media_type=target.media_type, digest=self._departure.put(data), size=len(data))

    def _manifest(self, target: Descriptor) -> Descriptor:
        """Push all that one manifest names; gives the manifest to be named, which may be a new one."""
        manifest = Manifest.decode(self._departure.read(target.id, MANIFEST_CAP))
        names = self._layer_names(manifest)
        if any(layer.media_type == LODGE_HOST_LAYER for layer in manifest.layers):
            raise Unsupported("the host image shows this machine's own files; it can't be pushed")
        unique = dict(zip((layer.digest for layer in manifest.layers), names, strict=True))
        for name in reversed(unique.values()):
            self._tell(("Preparing", name))
        config = self._pool.submit(self._send, manifest.config, _quiet)
        work = {
            layer.digest: self._pool.submit(self._layer, layer, unique[layer.digest], target.media_type)
            for layer in manifest.layers
        }
        sent = self._finished(work)
        config.result()
        layers = tuple(sent[layer.digest] for layer in manifest.layers)
        if layers == manifest.layers:
            return target
        media_type = target.media_type
        if any(layer.media_type == OCI_LAYER_ZSTD for layer in layers):
            media_type = OCI_MANIFEST  # Docker's own form knows no zstd
        data = msgspec.structs.replace(manifest, layers=layers, media_type=media_type).encode()
        return Descriptor(media_type=media_type, digest=self._departure.put(data), size=len(data))

    def _send(self, blob: Descriptor, tell: Callable[[int, int], None]) -> str:
        """In a thread: bring one blob there; gives how."""
        upload = Upload(self._repository, blob, self._departure, tell, self._abort, attempts=self._attempts)
        others = [path for path in self._holders.get(blob.digest, ()) if path != self._reference.path]
        return upload.run(others[0] if others else None, likely=self._known)

    def _finished(self, work: dict[str, Future[Descriptor]]) -> dict[str, Descriptor]:
        """Wait for all layers; after a failure no other one is begun."""
        done, left = wait(work.values(), return_when=FIRST_EXCEPTION)
        for future in left:
            future.cancel()
        wait(left)
        for future in done:
            future.result()
        return {digest: future.result() for digest, future in work.items()}

    def _layer_names(self, manifest: Manifest) -> list[str]:
        """What layers are called in the progress of a push: by what they hold, as Docker does."""
        if not manifest.config.is_config:
            return [layer.id.short for layer in manifest.layers]
        config = ImageConfig.decode(self._departure.read(manifest.config.id, CONFIG_CAP))
        if len(config.rootfs.diff_ids) != len(manifest.layers):
            return [layer.id.short for layer in manifest.layers]
        return [Digest(diff_id).short for diff_id in config.rootfs.diff_ids]

    def _layer(self, layer: Descriptor, name: str, owner: str) -> Descriptor:
        """In a thread: one layer."""
        self._abort.check()
        wishes = self._wishes
        sent = self._departure.compressed(layer, wishes.compression, wishes.level, owner)
        told = 0.0

        def figures(done: int, total: int) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told >= _INTERVAL or done == total:
                told = now
                self._tell(("Pushing", name, done, total))

        self._tell((self._send(sent, figures), name))
        return sent


class _Line:
    """Lets threads speak one at a time."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._lock = threading.Lock()

    def __call__(self, said: tuple[str, str] | tuple[str, str, int, int]) -> None:
        status, name, *figures = said
        done, total = figures or (0, 0)
        with self._lock:
            self._tell(status, name, done, total)


def _quiet(done: int, total: int) -> None:
    del done, total


def explained(error: answers.RegistryError) -> Exception:
    """Say what a refusal means for a push, in Docker's words."""
    refusal = error.refusal
    if refusal.code == "DENIED":
        return Forbidden(f"denied: {refusal.message or 'requested access to the resource is denied'}")
    if refusal.status == 401 or (refusal.status == 403 and not refusal.code):
        return Forbidden("denied: requested access to the resource is denied")
    return error
