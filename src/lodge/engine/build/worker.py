"""The worker of one build: keys of contents, and operations done by whoever knows how."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from lodge.build.contract import BuildRequest, Context, Wanted
from lodge.build.graph import (
    CopyAction,
    Fetch,
    Files,
    Git,
    Image,
    LayerRef,
    Local,
    Node,
    Owner,
    Result,
    Rootfs,
    Run,
    StepMount,
    Tree,
    definition_of,
)
from lodge.build.worker import Progress
from lodge.engine.build.bases import Bases
from lodge.engine.build.fetching import Fetcher
from lodge.engine.build.memory import Memory
from lodge.engine.build.mounts import MountKeeper
from lodge.engine.build.moving import Mover, owner_ids
from lodge.engine.build.running import Runner
from lodge.engine.networks.attaching import Attachments
from lodge.engine.parts import Parts
from lodge.errors import NotFound
from lodge.spec.digest import Digest
from lodge.store.stacking import Stacked

_SECOND = 10**9


class Hands:
    """What all builds of an engine share: who moves files, runs programs, keeps mounts, remembers."""

    def __init__(self, parts: Parts, memory: Memory, attachments: Attachments) -> None:
        self.parts = parts
        self.memory = memory
        self.mover = Mover(parts.store.layers, user_xattrs=parts.store.layers.user_xattrs)
        self.keeper = MountKeeper(parts, self.mover)
        self.runner = Runner(parts, self.keeper, attachments)


class BuildWorker:
    """Fulfils build.worker.Worker."""

    def __init__(
        self,
        hands: Hands,
        request: BuildRequest,
        contexts: Mapping[str, Context],
        bases: Bases,
        fetcher: Fetcher,
    ) -> None:
        self._hands = hands
        self._parts = hands.parts
        self._request = request
        self._contexts = contexts
        self._bases = bases
        self._fetcher = fetcher

    # ---- keys

    async def key(self, node: Node, inputs: Sequence[Result]) -> str | None:
        """Of definitions and contents; see build.worker."""
        operation = node.operation
        if isinstance(operation, Files):
            return await self._files_key(operation, inputs, based=True)
        if isinstance(operation, Run):
            made = hashlib.sha256(definition_of(operation))
            made.update(_chain(inputs[0]).encode())
            for mount in operation.mounts:
                if mount.input >= 0 and mount.type == "bind":
                    made.update((await self._mount_key(mount, inputs[mount.input])).encode())
            return f"sha256:{made.hexdigest()}"
        return None

    async def _files_key(self, operation: Files, inputs: Sequence[Result], *, based: bool) -> str:
        made = hashlib.sha256(definition_of(operation))
        if based:
            made.update(_chain(inputs[0]).encode())
        call = self._parts.bridge.call
        for action in operation.actions:
            if isinstance(action, CopyAction):
                digest = await call(self._hands.mover.digest, action, inputs[action.input])
                made.update(digest.encode())
            if not based and action.owner is not None:
                made.update(repr(await call(self._ids, action.owner, inputs[0])).encode())
        return f"sha256:{made.hexdigest()}"

    def _ids(self, owner: Owner, base: Result) -> tuple[int, int]:
        with self._hands.mover.view(base) as view:
            return owner_ids(owner, view)

    async def _mount_key(self, mount: StepMount, source: Result) -> str:
        if isinstance(source, Rootfs):
            return f"{source.chain}\0{mount.source}"
        mover = self._hands.mover
        return await self._parts.bridge.call(mover.tree_digest, source, mount.source, source.ignore)

    # ---- operations

    async def perform(
        self, node: Node, inputs: Sequence[Result], progress: Progress, *, detail: str
    ) -> Result:
        """Do it; see build.worker."""
        del detail
        match node.operation:
            case Image():
                return await self._image(node.operation)
            case Local():
                return await self._local(node.operation, progress)
            case Fetch():
                return await self._fetcher.fetch(node.operation, progress)
            case Git():
                return await self._fetcher.clone(node.operation, progress)
            case Files():
                return await self._files(node, node.operation, inputs)
            case Run():
                return await self._run(node, node.operation, inputs, progress)

    async def _image(self, operation: Image) -> Rootfs:
        if not operation.manifest:
            return Rootfs()
        found = self._bases.found[operation.manifest]
        await self._parts.images.unpack(found)
        resolved = found.resolved
        layers = tuple(
            LayerRef(diff_id=diff_id, blob=blob)
            for diff_id, blob in zip(resolved.config.rootfs.diff_ids, resolved.manifest.layers, strict=True)
        )
        return Rootfs(chain=str(resolved.chain_id or ""), layers=layers)

    async def _local(self, operation: Local, progress: Progress) -> Tree:
        context = self._contexts.get(operation.context)
        if context is None:
            raise NotFound(
                "the build has no context to copy files from",
                hint="a Dockerfile from standard input or an address has none",
            )
        directory = await context.open(Wanted(include=operation.include, exclude=operation.ignore))
        progress.status("transferring context", 0, 0, done=True)
        return Tree(directory=directory, ignore=operation.ignore, name=operation.context)

    async def _files(self, node: Node, operation: Files, inputs: Sequence[Result]) -> Rootfs:
        base = inputs[0]
        assert isinstance(base, Rootfs)
        if operation.detached:
            return await self._linked(node, operation, inputs, base)
        parent = Digest(base.chain) if base.chain else None
        stacked = await self._parts.bridge.call(
            partial(self._make_files, operation, inputs, parent, blob=node.keep_blob)
        )
        return _on(base, stacked, operation.epoch)

    def _make_files(
        self, operation: Files, inputs: Sequence[Result], parent: Digest | None, *, blob: bool
    ) -> Stacked:
        stacking = self._parts.store.stacking
        staged = stacking.stage()
        try:
            staged.extracted.size = self._hands.mover.perform(operation, inputs, staged.files)
        except BaseException:
            stacking.discard(staged)
            raise
        return stacking.place(staged, parent, blob=blob, latest=_nanoseconds(operation.epoch))

    async def _linked(self, node: Node, operation: Files, inputs: Sequence[Result], base: Rootfs) -> Rootfs:
        """COPY --link: the layer is made on nothing, so that it is the same on every base."""
        memory, call = self._hands.memory, self._parts.bridge.call
        key = await self._files_key(operation, inputs, based=False)
        own = None if node.ignore_cache else await memory.find(key)
        if own is None:
            stacked = await call(partial(self._make_files, operation, inputs, None, blob=True))
            own = _on(Rootfs(), stacked, operation.epoch)
            await memory.keep(key, own, parent="", description=node.step.name)
        if not base.chain:
            return own
        layer = own.layers[0]
        stacked = await call(self._attach, own, layer, Digest(base.chain))
        made = msgspec.structs.replace(layer, blob=stacked.blob)
        return Rootfs(chain=str(stacked.chain), layers=(*base.layers, made))

    def _attach(self, own: Rootfs, layer: LayerRef, parent: Digest) -> Stacked:
        store = self._parts.store
        blob = store.stacking.blob(Digest(own.chain))
        with store.content.open(blob.id) as reader:
            stacked = store.stacking.apply(reader, parent, Digest(layer.diff_id))
        return msgspec.structs.replace(stacked, blob=blob)

    async def _run(self, node: Node, operation: Run, inputs: Sequence[Result], progress: Progress) -> Rootfs:
        base = inputs[0]
        assert isinstance(base, Rootfs)
        hands, request = self._hands, self._request
        async with hands.keeper.ready(operation, inputs, request.secrets, request.agents) as mounts:
            key = await hands.runner.run(operation, inputs, progress, mounts)
        stacked = await asyncio.shield(
            self._parts.bridge.call(
                partial(
                    self._parts.store.stacking.adopt,
                    key,
                    blob=node.keep_blob,
                    latest=_nanoseconds(operation.epoch),
                )
            )
        )
        return _on(base, stacked, operation.epoch)


def _nanoseconds(epoch: int | None) -> int | None:
    return None if epoch is None else epoch * _SECOND


def _chain(result: Result) -> str:
    assert isinstance(result, Rootfs)
    return result.chain


def _on(base: Rootfs, stacked: Stacked, epoch: int | None) -> Rootfs:
    created = time.time_ns() if epoch is None else epoch * _SECOND
    layer = LayerRef(diff_id=str(stacked.diff_id), size=stacked.size, blob=stacked.blob, created=created)
    return Rootfs(chain=str(stacked.chain), layers=(*base.layers, layer))
