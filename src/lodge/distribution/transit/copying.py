"""Carries one image, or all of an index, from an origin to a goal: blobs first, manifests behind them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lodge.distribution.choice import choose, offers
from lodge.distribution.repository import RemoteManifest
from lodge.distribution.transit.contract import Goal, Origin
from lodge.errors import Corrupt, Unsupported
from lodge.spec.descriptor import DOCKER_LAYER_FOREIGN, OCI_LAYER_FOREIGN, Descriptor
from lodge.spec.platform import Platform, host

_AT_ONCE = 4
_DEEPEST = 4
_FOREIGN = (OCI_LAYER_FOREIGN, DOCKER_LAYER_FOREIGN)
Tell = Callable[[str], None]
"""Called with a line for people when something has arrived."""


def one_image(origin: Origin, platform: Platform | None) -> RemoteManifest:
    """The manifest of one image at an origin: the top, or what suits a platform below an index."""
    top = origin.top()
    if not top.descriptor.is_index:
        return top
    found = list(offers(top, origin.manifest))
    return origin.manifest(choose(found, platform or host()))


def copy(
    origin: Origin, goal: Goal, tell: Tell, *, platform: Platform | None = None, every: bool = False
) -> Descriptor:
    """Copy what an origin's name leads to; of an index one platform, or `every` one. Gives what it is there.

    Raises what origin and goal raise; then the goal has no new name.
    """
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="copy") as pool:
        carrier = _Carrier(origin, goal, tell, pool)
        top = origin.top() if every else one_image(origin, platform)
        carrier.needs(top, _DEEPEST)
        goal.finish(top)
    tell(f"Digest: {top.descriptor.digest}")
    return top.descriptor


class _Carrier:
    def __init__(self, origin: Origin, goal: Goal, tell: Tell, pool: ThreadPoolExecutor) -> None:
        self._origin = origin
        self._goal = goal
        self._tell = tell
        self._pool = pool
        self._done: set[str] = set()

    def needs(self, top: RemoteManifest, depth: int) -> None:
        """Bring all that a manifest names."""
        if not depth:
            raise Corrupt("image indexes are nested too deeply")
        if top.descriptor.is_index:
            for entry in top.index().manifests:
                self._child(entry, depth)
        elif top.descriptor.is_manifest:
            manifest = top.manifest()
            kept = [one for one in manifest.layers if not (one.urls or one.media_type.startswith(_FOREIGN))]
            list(self._pool.map(self._blob, self._fresh([*kept, manifest.config])))
        else:
            raise Unsupported(f"unsupported media type {top.descriptor.media_type}")

    def _child(self, entry: Descriptor, depth: int) -> None:
        if not (entry.is_index or entry.is_manifest):
            list(self._pool.map(self._blob, self._fresh([entry])))
            return
        child = self._origin.manifest(entry)
        self.needs(child, depth - 1)
        self._goal.put_manifest(child)

    def _fresh(self, blobs: list[Descriptor]) -> list[Descriptor]:
        fresh = {one.digest: one for one in blobs if one.digest not in self._done}
        self._done.update(fresh)
        return list(fresh.values())

    def _blob(self, descriptor: Descriptor) -> None:
        brought = self._goal.put_blob(descriptor, self._origin)
        self._tell(f"{descriptor.id.short}: {'copied' if brought else 'already there'}")
