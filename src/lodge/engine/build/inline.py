"""Cached steps that travel in an image: with BUILDKIT_INLINE_CACHE=1 its configuration names their keys.

Whoever has the image (`--cache-from`) has the layers, and needs only to know which key led to which of them.
The field is this engine's own; BuildKit's says what only BuildKit's keys mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from lodge.build.graph import LayerRef, Node, Rootfs
from lodge.build.worker import Memory
from lodge.engine.images.catalog import Found, moment
from lodge.spec.image import ImageConfig

ARGUMENT = "BUILDKIT_INLINE_CACHE"
_FIELD = "io.lodge.build.cache.v1"
_MOST = 1000


def with_keys(config: ImageConfig, node: Node | None, keys: Mapping[int, str]) -> ImageConfig:
    """The configuration with the keys of the steps that made its layers, and how many layers each had."""
    chain: list[Node] = []
    while node is not None:
        chain.append(node)
        node = node.inputs[0] if node.inputs else None
    steps = [each for each in chain if id(each) in keys]
    total = len([entry for entry in config.history if not entry.empty_layer])
    entries = [[keys[id(each)], total - above] for above, each in enumerate(steps)]
    return msgspec.structs.replace(config, unknown={**config.unknown, _FIELD: entries})


def without_keys(config: ImageConfig) -> ImageConfig:
    """The configuration as others build on it: a base's keys are not theirs."""
    if _FIELD not in config.unknown:
        return config
    rest = {name: value for name, value in config.unknown.items() if name != _FIELD}
    return msgspec.structs.replace(config, unknown=rest)


def read_keys(found: Found) -> dict[str, Rootfs]:
    """What an image's configuration says about keys; nothing for one that says nothing sensible."""
    entries: Any = found.config.unknown.get(_FIELD)
    layers = _layers(found)
    known: dict[str, Rootfs] = {}
    for entry in entries[:_MOST] if isinstance(entries, list) else ():
        match entry:
            case [str(key), int(count)] if 0 < count <= len(layers):
                chain = str(found.resolved.chain_ids[count - 1])
                known[key] = Rootfs(chain=chain, layers=tuple(layers[:count]))
            case _:
                return {}
    return known


def _layers(found: Found) -> Sequence[LayerRef]:
    made = [entry.created for entry in found.config.history if not entry.empty_layer]
    times = [moment(text) for text in made] if len(made) == len(found.resolved.manifest.layers) else []
    return [
        LayerRef(diff_id=diff_id, blob=blob, created=times[number] if times else 0)
        for number, (diff_id, blob) in enumerate(
            zip(found.config.rootfs.diff_ids, found.resolved.manifest.layers, strict=True)
        )
    ]


class Primed:
    """A memory that knows some more, for one build. Fulfils build.worker.Memory."""

    def __init__(self, memory: Memory, known: Iterable[Mapping[str, Rootfs]]) -> None:
        self._memory = memory
        self._known: dict[str, Rootfs] = {}
        for each in known:
            self._known.update(each)

    async def find(self, key: str) -> Rootfs | None:
        """What this engine knows, else what the images say."""
        return await self._memory.find(key) or self._known.get(key)

    async def keep(self, key: str, result: Rootfs, *, parent: str, description: str) -> None:
        """Remember here."""
        await self._memory.keep(key, result, parent=parent, description=description)
