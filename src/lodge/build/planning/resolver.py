"""What planning asks of whoever runs the build: images by name."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from lodge.spec.image import ImageConfig
from lodge.spec.platform import Platform


class Base(Struct, frozen=True, kw_only=True):
    """A base image: its canonical name, the digest of its manifest, its configuration."""

    reference: str
    manifest: str
    config: ImageConfig


class Resolver(Protocol):
    """Finds images."""

    async def image(self, reference: str, platform: Platform, *, pull: bool) -> Base:
        """The image of a name for a platform, fetched when it is not here or `pull` asks for a newer one.

        NotFound in Docker's words when there is none.
        """
        ...
