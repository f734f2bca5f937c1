"""Pulls for clients: what Docker's clients read while one goes on, and the events of it.

A client that goes away ends its pull, not the blobs that another one waits for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from lodge.engine.images.distribution import Distribution
from lodge.engine.models import Progress
from lodge.engine.parts import Parts
from lodge.errors import NotFound
from lodge.spec.platform import Platform
from lodge.spec.reference import Reference

if TYPE_CHECKING:
    from lodge.distribution.abort import Abort
    from lodge.distribution.credentials import Credentials

EVERY_PLATFORM = "all"
"""Said in place of a platform: keep them all."""


async def pull(
    parts: Parts,
    distribution: Distribution,
    reference: Reference,
    *,
    platform: str | None,
    auth: dict[str, Any] | None,
) -> AsyncIterator[Progress]:
    """Bring an image; without tag and digest all tags of its repository."""
    from lodge.distribution.abort import Abort
    from lodge.distribution.credentials import Credentials

    work = _Pull(parts, distribution, Credentials.of_auth_config(auth), platform, Abort())

    def run(tell: Callable[[Progress], None]) -> None:
        work.run(reference, tell)

    lines = parts.bridge.iterate(run)
    try:
        async for line in lines:
            yield line
    finally:
        work.abort.set()
        await lines.aclose()  # type: ignore[attr-defined]
    for done in work.done:
        parts.events.publish("image", "pull", done.familiar(), {"name": done.familiar_name})


class _Pull:
    def __init__(
        self,
        parts: Parts,
        distribution: Distribution,
        credentials: Credentials | None,
        platform: str | None,
        abort: Abort,
    ) -> None:
        self._parts = parts
        self._distribution = distribution
        self._credentials = credentials
        self._every = platform == EVERY_PLATFORM
        self._platform = Platform.parse(platform) if platform and not self._every else None
        self.abort = abort
        self.done: list[Reference] = []

    def run(self, reference: Reference, tell: Callable[[Progress], None]) -> None:
        """In a thread: one tag, or all."""
        if reference.tag or reference.digest:
            self._one(reference, tell)
            return
        places = self._distribution.registries().repository(reference, self._credentials, abort=self.abort)
        tags = list(places.tags())
        if not tags:
            raise NotFound(f"no tags found in repository {reference.familiar_name}")
        for tag in tags:
            self._one(reference.with_tag(tag), tell)

    def _one(self, reference: Reference, tell: Callable[[Progress], None]) -> None:
        def report(status: str, id: str, current: int, total: int) -> None:
            tell(Progress(status=status, id=id, current=current, total=total))

        pulled = self._distribution.pull_now(
            reference,
            report,
            self.abort,
            credentials=self._credentials,
            platform=self._platform,
            every_platform=self._every,
        )
        self.done.append(reference)
        tell(Progress(status=f"Digest: {pulled.target.digest}"))
        what = "Downloaded newer image for" if pulled.fresh else "Image is up to date for"
        tell(Progress(status=f"Status: {what} {reference.familiar()}"))
