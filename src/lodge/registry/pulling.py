"""Answers of a pull: blobs and manifests, whole, in part, or only their heads (specification, "Pull")."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from typing import Any

from lodge.http.answer import Headers
from lodge.registry import ranges, refusals
from lodge.registry.service import Call
from lodge.registry.targets import check_digest, is_tag
from lodge.spec.digest import Digest

_AT_ONCE = 64 * 1024
"""Bytes that are read and sent in one go, without a task."""
_OCTETS = "application/octet-stream"
_FOREVER = ("Cache-Control", "max-age=31536000")


def base(call: Call) -> None:
    """End-1: it is a registry, and the client may come in."""
    call.exchange.respond(200, b"{}")


def blob(call: Call) -> Coroutine[Any, Any, None] | None:
    """End-2."""
    digest = check_digest(call.target.reference)
    if call.service.upstream is not None:
        return _blob_from_upstream(call, digest)
    return _blob(call, digest)


async def _blob_from_upstream(call: Call, digest: Digest) -> None:
    upstream = call.service.upstream
    assert upstream is not None
    found = call.service.library.find(call.name)
    if found is None or found.blobs.size(digest) is None:
        headers = (("Docker-Content-Digest", digest), ("ETag", f'"{digest}"'))
        if call.exchange.head.method == "HEAD":
            size = await upstream.size(call.name, digest)
            call.exchange.announce(200, size, content_type=_OCTETS, headers=headers)
            return
        incoming = await upstream.blob(call.name, digest)
        if not incoming.done and call.header("range") is None and incoming.size > _AT_ONCE:
            stream = call.exchange.announce(200, incoming.size, content_type=_OCTETS, headers=headers)
            async for piece in incoming.pieces():
                await stream.write(piece)
            return
        await incoming.finished()
    running = _blob(call, digest)
    if running is not None:
        await running


def _blob(call: Call, digest: Digest) -> Coroutine[Any, Any, None] | None:
    repository = call.repository()
    headers: Headers = (
        ("Docker-Content-Digest", digest), ("ETag", f'"{digest}"'), ("Accept-Ranges", "bytes"), _FOREVER,
    )  # fmt: skip
    if call.exchange.head.method == "HEAD":
        size = repository.blobs.size(digest)
        if size is None:
            raise refusals.blob_unknown(digest)
        call.exchange.announce(200, size, content_type=_OCTETS, headers=headers)
        return None
    fd = repository.blobs.open(digest)
    if fd is None:
        raise refusals.blob_unknown(digest)
    try:
        running = _send(call, fd, os.fstat(fd).st_size, headers)
    except BaseException:
        os.close(fd)
        raise
    if running is None:
        os.close(fd)
    return running


def _send(call: Call, fd: int, size: int, headers: Headers) -> Coroutine[Any, Any, None] | None:
    """Send a blob, or the part that is asked for; the coroutine, if there is one, closes the descriptor."""
    span = None
    if call.header("if-range") in (None, headers[1][1]):
        span = ranges.of_download(call.header("range"), size)
    if span is None:
        if call.header("if-none-match") == headers[1][1]:
            call.exchange.respond(304, headers=headers)
            return None
        status, span = 200, ranges.Span(0, size)
    else:
        status = 206
        headers = (*headers, ("Content-Range", f"bytes {span.start}-{span.end - 1}/{size}"))
    if span.size > _AT_ONCE:
        return _send_file(call, status, fd, span, headers)
    data = os.pread(fd, span.size, span.start) if span.size else b""
    # an empty blob has a type too
    call.exchange.respond(
        status, data, content_type=_OCTETS, headers=headers if data else (*headers, ("Content-Type", _OCTETS))
    )
    return None


async def _send_file(call: Call, status: int, fd: int, span: ranges.Span, headers: Headers) -> None:
    with open(fd, "rb", buffering=0) as file:
        await call.exchange.send_file(
            status, file, span.start, span.size, content_type=_OCTETS, headers=headers
        )


def manifest(call: Call) -> Coroutine[Any, Any, None] | None:
    """End-3."""
    reference = call.target.reference
    if not is_tag(reference):
        reference = check_digest(reference)
    if call.service.upstream is not None:
        return _manifest_from_upstream(call, reference)
    _manifest(call, reference)
    return None


async def _manifest_from_upstream(call: Call, reference: str) -> None:
    assert call.service.upstream is not None
    await call.service.upstream.manifest(call.name, reference)
    _manifest(call, reference)


def _manifest(call: Call, reference: str) -> None:
    repository = call.repository()
    contents = repository.contents
    digest = contents.find(reference)
    if digest is None:
        raise refusals.manifest_unknown(reference)
    headers = (("Docker-Content-Digest", digest), ("ETag", f'"{digest}"'))
    if call.header("if-none-match") == headers[1][1]:
        call.exchange.respond(304, headers=headers)
        return
    entry = contents.manifests[digest]
    if call.exchange.head.method == "HEAD":
        call.exchange.announce(200, entry.size, content_type=entry.media_type, headers=headers)
    else:
        call.exchange.respond(200, repository.read(digest), content_type=entry.media_type, headers=headers)
