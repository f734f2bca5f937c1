"""Endpoints of our own that give an image's manifests and blobs as they are: for tools that copy and look."""

from __future__ import annotations

import os

from lodge.api.call import Call
from lodge.api.router import Route


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("GET", "/lodge/images/{name}/manifest", manifest),
        Route("GET", "/lodge/content/{digest}", blob, bound=True),
    ]


async def manifest(call: Call) -> None:
    """GET /lodge/images/{name}/manifest: the bytes of its manifest or index."""
    descriptor, data = await call.backend.images.manifest(call.name)
    headers = (("Docker-Content-Digest", descriptor.digest),)
    call.exchange.respond(200, data, content_type=descriptor.media_type, headers=headers)


async def blob(call: Call) -> None:
    """GET /lodge/content/{digest}: the bytes of a blob."""
    with open(await call.backend.images.open_blob(call.name), "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        await call.exchange.send_file(200, file, 0, size, content_type="application/octet-stream")
