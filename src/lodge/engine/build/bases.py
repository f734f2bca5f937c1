"""Base images for a build: found in the store, or brought."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from lodge.build.planning.resolver import Base
from lodge.engine.build.inline import without_keys
from lodge.engine.images.admission import admit
from lodge.engine.images.catalog import Found
from lodge.engine.parts import Parts
from lodge.errors import LodgeError, NotFound
from lodge.spec.platform import Platform, host
from lodge.spec.reference import Reference

if TYPE_CHECKING:
    from lodge.engine.images.facade import Images

_MANY = 3
Login = Callable[[str], Awaitable[dict[str, str]]]
"""Gives what a client knows of a registry's host; empty for nothing."""


class Bases:
    """Fulfils build.planning.resolver.Resolver for one build. `credentials` are by registry."""

    def __init__(
        self, parts: Parts, images: Images, credentials: dict[str, dict[str, str]], login: Login | None = None
    ) -> None:
        self._parts = parts
        self._images = images
        self._credentials = credentials
        self._login = login
        self._known: dict[tuple[str, str], asyncio.Future[Base]] = {}
        self.found: dict[str, Found] = {}

    async def image(self, reference: str, platform: Platform, *, pull: bool) -> Base:
        """Find or bring it; each once a build."""
        key = (reference, str(platform))
        if key not in self._known:
            self._known[key] = asyncio.ensure_future(self._find(reference, platform, pull=pull))
        return await asyncio.shield(self._known[key])

    async def _find(self, reference: str, platform: Platform, *, pull: bool) -> Base:
        found = None if pull else self._local(reference, platform)
        if found is None:
            found = await self._bring(reference, platform)
        await admit(self._parts, reference, found)
        manifest = found.resolved.manifest_descriptor.digest
        self.found[manifest] = found
        return Base(reference=_shown(reference, found), manifest=manifest, config=without_keys(found.config))

    def _local(self, reference: str, platform: Platform) -> Found | None:
        try:
            found = self._parts.images.find(reference)
        except NotFound:
            return None
        if platform.matches(found.config.platform):
            return found
        try:
            return self._parts.images.find(reference, str(platform))
        except NotFound:
            # What is here of another platform serves where nobody asked for one.
            return found if platform == host().normalised() else None

    async def _bring(self, reference: str, platform: Platform) -> Found:
        name = Reference.parse(reference)
        auth = await self.auth(name.domain)
        try:
            wanted = None if platform == host().normalised() else str(platform)
            async for _ in await self._images.pull(name.familiar(), platform=wanted, auth=auth):
                pass
        except LodgeError as error:
            found = self._local(reference, platform)
            if found is not None and not isinstance(error, NotFound):
                # A registry that does not answer is no reason to fail with the image at hand.
                return found
            raise
        found = self._local(reference, platform)
        if found is None:
            raise NotFound(f"No such image: {name.familiar()}")
        return found

    async def auth(self, domain: str) -> dict[str, str] | None:
        """What is known to log in with at a registry; None for nothing."""
        known = self._credentials.get(domain) or self._credentials.get(
            "https://index.docker.io/v1/" if domain == "docker.io" else domain
        )
        if known or self._login is None:
            return known
        return await self._login(domain) or None


def _shown(reference: str, found: Found) -> str:
    try:
        return str(Reference.parse(reference))
    except LodgeError:
        return found.image.id
