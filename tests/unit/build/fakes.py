"""A resolver and a worker that need nothing: images from a table, results by name."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from lodge.build.graph import Image, LayerRef, Local, Node, Result, Rootfs, Tree, definition_of
from lodge.build.planning.resolver import Base
from lodge.build.worker import Progress
from lodge.errors import NotFound
from lodge.spec.container import ContainerConfig
from lodge.spec.image import History, ImageConfig
from lodge.spec.platform import Platform, host


def image(**config: object) -> ImageConfig:
    """A base image of one layer."""
    target = host()
    return ImageConfig(
        architecture=target.architecture,
        os=target.os,
        variant=target.variant or "",
        config=ContainerConfig(**config),  # type: ignore[arg-type]
        history=(History(created_by="the base", created="2026-01-01T00:00:00Z"),),
    )


class FakeResolver:
    """Images by name."""

    def __init__(self, **images: ImageConfig) -> None:
        self.images = {"busybox": image(env=["PATH=/bin"], cmd=["sh"]), **images}
        self.asked: list[str] = []

    async def image(self, reference: str, platform: Platform, *, pull: bool) -> Base:
        del platform, pull
        self.asked.append(reference)
        if reference not in self.images:
            raise NotFound(f"No such image: {reference}")
        name = f"docker.io/library/{reference}:latest"
        return Base(reference=name, manifest=f"sha256:{reference}", config=self.images[reference])


class FakeMemory:
    """Results in a dict."""

    def __init__(self) -> None:
        self.known: dict[str, Rootfs] = {}

    async def find(self, key: str) -> Rootfs | None:
        return self.known.get(key)

    async def keep(self, key: str, result: Rootfs, *, parent: str, description: str) -> None:
        del parent, description
        self.known[key] = result


class FakeWorker:
    """Does nothing, and says that it did. `delays` in seconds and `failures` are by a step's name."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.running = 0
        self.most = 0
        self.cancelled: list[str] = []
        self.delays: dict[str, float] = {}
        self.failures: dict[str, Exception] = {}
        self.contents = "contents"

    async def key(self, node: Node, inputs: Sequence[Result]) -> str | None:
        if isinstance(node.operation, (Image, Local)):
            return None
        made = hashlib.sha256(definition_of(node.operation))
        for each in inputs:
            made.update(each.chain.encode() if isinstance(each, Rootfs) else self.contents.encode())
        return made.hexdigest()

    async def perform(
        self, node: Node, inputs: Sequence[Result], progress: Progress, *, detail: str
    ) -> Result:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.delays.get(detail, 0))
        except asyncio.CancelledError:
            self.cancelled.append(detail)
            raise
        finally:
            self.running -= 1
        self.done.append(detail)
        progress.log(1, detail.encode())
        if detail in self.failures:
            raise self.failures[detail]
        if isinstance(node.operation, Local):
            return Tree(directory="/context")
        if isinstance(node.operation, Image):
            return Rootfs(chain=node.operation.reference)
        key = await self.key(node, inputs)
        return Rootfs(chain=f"sha256:{key}", layers=(LayerRef(diff_id=str(key)),))
