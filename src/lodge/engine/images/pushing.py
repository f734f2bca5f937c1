"""Pushes for clients: what Docker's clients read while one goes on, and the events of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from lodge.engine.images.distribution import Distribution
from lodge.engine.models import Progress
from lodge.engine.parts import Parts
from lodge.errors import InvalidArgument, NotFound
from lodge.spec.platform import Platform
from lodge.spec.reference import Reference

if TYPE_CHECKING:
    from lodge.distribution.abort import Abort
    from lodge.distribution.credentials import Credentials
    from lodge.distribution.pushing import Wishes
    from lodge.spec.descriptor import Descriptor


async def push(
    parts: Parts,
    distribution: Distribution,
    reference: Reference,
    *,
    platform: str | None,
    auth: dict[str, Any] | None,
    compression: str = "",
) -> AsyncIterator[Progress]:
    """Bring an image to its registry; without a tag all tags of the repository."""
    from lodge.distribution.abort import Abort
    from lodge.distribution.credentials import Credentials
    from lodge.distribution.pushing import Wishes

    if reference.digest:
        raise InvalidArgument("cannot push a digest reference")
    kind, level = _compression(compression)
    wishes = Wishes(platform=Platform.parse(platform) if platform else None, compression=kind, level=level)
    yield Progress(status=f"The push refers to repository [{reference.name}]")
    wanted = _wanted(parts, reference)
    abort = Abort()
    work = _Push(distribution, Credentials.of_auth_config(auth), wishes, abort)

    def run(tell: Callable[[Progress], None]) -> None:
        for one, target in wanted:
            work.one(one, target, tell)

    lines = parts.bridge.iterate(run)
    try:
        async for line in lines:
            yield line
    finally:
        abort.set()
        await lines.aclose()  # type: ignore[attr-defined]
    for one, _ in wanted:
        parts.events.publish("image", "push", one.familiar(), {"name": one.familiar_name})


def _wanted(parts: Parts, reference: Reference) -> list[tuple[Reference, Descriptor]]:
    """The tags to push and what they refer to; NotFound in Docker's words."""
    own = [
        (each, target)
        for name, target in parts.store.references.list().items()
        if "/" in name and (each := Reference.parse_name(name)).name == reference.name and each.tag
    ]
    if not own:
        raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
    if reference.tag is None:
        return own
    chosen = [pair for pair in own if pair[0].tag == reference.tag]
    if not chosen:
        raise NotFound(f"tag does not exist: {reference.familiar()}")
    return chosen


def _compression(text: str) -> tuple[str | None, int | None]:
    """Read "gzip", "zstd" or "zstd:19"."""
    kind, _, level = text.partition(":")
    if not text:
        return None, None
    if kind not in ("gzip", "zstd") or (level and not level.isdecimal()):
        raise InvalidArgument(f"unknown compression {text!r}", hint="gzip[:0-9] or zstd[:1-22]")
    return kind, int(level) if level else None


class _Push:
    def __init__(
        self, distribution: Distribution, credentials: Credentials | None, wishes: Wishes, abort: Abort
    ) -> None:
        self._distribution = distribution
        self._credentials = credentials
        self._wishes = wishes
        self._abort = abort

    def one(self, reference: Reference, target: Descriptor, tell: Callable[[Progress], None]) -> None:
        """In a thread: one tag."""

        def report(status: str, id: str, current: int, total: int) -> None:
            tell(Progress(status=status, id=id, current=current, total=total))

        pushed = self._distribution.push_now(
            reference, target, report, self._abort, credentials=self._credentials, wishes=self._wishes
        )
        if pushed.part:
            tell(
                Progress(
                    aux={
                        "manifestPushedInsteadOfIndex": True,
                        "originalIndex": _plain(target),
                        "selectedManifest": _plain(pushed.target),
                    }
                )
            )
        digest, size = pushed.target.digest, pushed.target.size
        tell(Progress(status=f"{reference.tag}: digest: {digest} size: {size}"))
        tell(Progress(aux={"Tag": reference.tag, "Digest": digest, "Size": size}))


def _plain(descriptor: Descriptor) -> dict[str, Any]:
    return {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
