"""Answers of a push: uploads of blobs in one piece or many, mounts, manifests (specification, "Push")."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lodge.errors import Exhausted, TimedOut
from lodge.http.answer import Headers
from lodge.http.body import client_gone
from lodge.http.framing import Counted
from lodge.registry import documents, ranges, refusals
from lodge.registry.refusals import Refusal
from lodge.registry.repository import Repository
from lodge.registry.service import Call
from lodge.registry.targets import check_digest, check_name, check_tag, check_upload, is_tag
from lodge.registry.uploads import Upload
from lodge.spec.digest import Digest

_BATCH = 1 << 20
"""Bytes that are gathered before a thread takes them: one hop for each."""
_SILENCE = 120.0
_TAGS = 100


def _writable(call: Call) -> Repository:
    directory = call.service.directory
    assert directory is not None
    return directory.find(call.name) or directory.make(call.name)


async def begin(call: Call) -> None:
    """End-4 and end-11: mount a blob, take a whole one, or open an upload."""
    query = call.query
    repository = await call.service.call(_writable, call)
    if "mount" in query and await _mount(call, repository, check_digest(query["mount"])):
        return
    digest = check_digest(query["digest"]) if "digest" in query else None
    algorithm = digest.algorithm if digest is not None else query.get("digest-algorithm", "sha256")
    if algorithm not in ("sha256", "sha384", "sha512"):
        raise refusals.digest_invalid(algorithm, f"unsupported digest algorithm: {algorithm[:50]!r}")
    upload = await call.service.call(call.service.uploads.begin, repository, algorithm)
    hasher = digest.hasher() if digest is not None else None
    empty = hasher is not None and Digest.finish(hasher, algorithm) == digest
    if digest is None or (not empty and call.exchange.head.length == 0):
        await call.service.call(upload.close)
        _accepted(call, upload)
        return
    try:
        await _receive(call, upload)
        await call.service.call(upload.finish, digest)
    except BaseException:
        await call.service.call(upload.cancel)
        raise
    finally:
        call.service.uploads.end(upload)
    _created(call, digest)


async def _mount(call: Call, repository: Repository, digest: Digest) -> bool:
    """Take the blob of another repository; False when the client has to send it."""
    directory = call.service.directory
    assert directory is not None
    name = call.query.get("from")
    source = None
    if name is not None:
        source = directory.find(check_name(name))
        if source is None or not call.may(name, "pull"):
            return False
    elif not all(call.may(each, "pull") for each in directory.names()):
        return False
    if not await call.service.call(repository.blobs.mount, digest, source.blobs if source else None):
        return False
    _created(call, digest)
    return True


async def chunk(call: Call) -> None:
    """End-5: bytes that continue an upload."""
    async with _upload(call) as upload:
        span = _check_span(call, upload)
        await call.service.call(upload.open)
        try:
            await _receive(call, upload)
        except Exhausted:
            await _drop(call, upload)
            raise
        finally:
            await call.service.call(upload.close)
        if span is not None and upload.offset != span.end:
            raise _out_of_order(call, upload)
        _accepted(call, upload)


async def finish(call: Call) -> None:
    """End-6: the last bytes, if any, and the digest of all."""
    if "digest" not in call.query:
        raise refusals.digest_invalid("", "digest parameter missing")
    digest = check_digest(call.query["digest"])
    async with _upload(call) as upload:
        _check_span(call, upload)
        await call.service.call(upload.open)
        try:
            await _receive(call, upload)
            await call.service.call(upload.finish, digest)
        except Refusal as refusal:
            if refusal.status != 429:
                call.service.uploads.end(upload)  # a wrong digest: it is over
            raise
        except Exhausted:
            await _drop(call, upload)
            raise
        finally:
            await call.service.call(upload.close)
        call.service.uploads.end(upload)
    _created(call, digest)


async def status(call: Call) -> None:
    """End-13: how much has arrived."""
    upload = await _find(call)
    call.exchange.respond(204, headers=_where(call, upload))


async def cancel(call: Call) -> None:
    """End-14."""
    async with _upload(call) as upload:
        await call.service.call(upload.cancel)
        call.service.uploads.end(upload)
    call.exchange.respond(204)


async def _find(call: Call) -> Upload:
    identity = check_upload(call.target.reference)
    directory = call.service.directory
    repository = directory.find(call.name) if directory is not None else None
    if repository is None:
        raise refusals.upload_unknown(identity)
    return await call.service.call(call.service.uploads.find, repository, identity)


@asynccontextmanager
async def _upload(call: Call) -> AsyncIterator[Upload]:
    """An upload for one request at a time; a later request ends an earlier one that waits for bytes.

    A client that lost its connection comes again before this side has noticed.
    """
    upload = await _find(call)
    turns, identity = call.service.turns, upload.identity
    lock, holder = turns.get(identity) or (asyncio.Lock(), call.exchange)
    if holder is not call.exchange:
        holder.body.fail(client_gone())
    turns[identity] = lock, call.exchange
    try:
        async with lock:
            yield upload
    finally:
        if turns.get(identity) == (lock, call.exchange):
            del turns[identity]


async def _drop(call: Call, upload: Upload) -> None:
    """A full disk: half a blob must not keep it full."""
    await call.service.call(upload.cancel)
    call.service.uploads.end(upload)


def _check_span(call: Call, upload: Upload) -> ranges.Span | None:
    """A chunk must begin where the last one ended, and be as long as it says."""
    span = ranges.of_chunk(call.header("content-range"))
    if span is None:
        return None
    if span.start != upload.offset:
        raise _out_of_order(call, upload)
    length = call.exchange.head.length
    if length >= 0 and length != span.size:
        raise Refusal("SIZE_INVALID", "Content-Length and Content-Range disagree", 400)
    return span


def _out_of_order(call: Call, upload: Upload) -> Refusal:
    message = f"the upload has {upload.offset} bytes: go on there"
    return Refusal("BLOB_UPLOAD_INVALID", message, 416, headers=_where(call, upload))


async def _receive(call: Call, upload: Upload) -> None:
    """Take the body, unless too many others are being taken: each may hold some megabytes of memory."""
    service = call.service
    if service.receiving >= service.rules.uploads_at_once:
        headers = (("Retry-After", "2"),)
        raise Refusal("TOOMANYREQUESTS", "too many uploads at once", 429, headers=headers)
    service.receiving += 1
    try:
        await _receive_all(call, upload)
    finally:
        service.receiving -= 1


async def _receive_all(call: Call, upload: Upload) -> None:
    """Take the body. While a thread writes and hashes one batch, the next one arrives.

    What has arrived is kept when the client goes away, so that it can go on from there.
    """
    body, service = call.exchange.body, call.service
    batch: list[bytes] = []
    size = 0
    work: asyncio.Future[None] | None = None
    try:
        while True:
            piece = await _next(call)
            batch.append(piece)
            size += len(piece)
            if size < _BATCH and piece:
                continue
            if work is not None:
                done, work = work, None
                await done
            if not piece:
                break
            work, batch, size = service.start(upload.append, batch), [], 0
    finally:
        if work is not None:
            await work
        if batch and (body.failure is not None or body.complete):
            await service.call(upload.append, batch)


async def _next(call: Call) -> bytes:
    try:
        async with asyncio.timeout(_SILENCE):
            return await call.exchange.body.next()
    except TimeoutError:
        raise TimedOut("timed out while waiting for bytes of the upload") from None


def _where(call: Call, upload: Upload) -> Headers:
    return (
        ("Location", f"/v2/{call.name}/blobs/uploads/{upload.identity}"),
        ("Range", f"0-{max(0, upload.offset - 1)}"),
        ("Docker-Upload-UUID", upload.identity),
    )


def _accepted(call: Call, upload: Upload) -> None:
    call.exchange.respond(202, headers=_where(call, upload))


def _created(call: Call, digest: Digest) -> None:
    headers = (("Location", f"/v2/{call.name}/blobs/{digest}"), ("Docker-Content-Digest", digest))
    call.exchange.respond(201, headers=headers)


async def manifest(call: Call) -> None:
    """End-7: a manifest by tag or by digest, with further tags."""
    reference = call.target.reference
    wanted = None if is_tag(reference) else check_digest(reference)
    tags = [check_tag(value) for name, value in call.fields() if name == "tag"]
    if len(tags) > _TAGS:
        raise Refusal("UNSUPPORTED", f"more than {_TAGS} tags at once", 414)
    body = call.exchange.body
    if isinstance(body.decoder, Counted) and body.decoder.left > documents.CAP:
        raise Refusal("SIZE_INVALID", f"manifest is larger than {documents.CAP} bytes", 413)
    data = await call.exchange.read(documents.CAP)
    hasher = wanted.hasher() if wanted is not None else Digest.of(b"").hasher()
    hasher.update(data)
    digest = Digest.finish(hasher, wanted.algorithm if wanted is not None else "sha256")
    if wanted is not None and digest != wanted:
        raise refusals.digest_invalid(wanted)
    document = documents.read(data, call.header("content-type") or "")
    names = tuple(tags) if wanted is not None else (*tags, reference)
    repository = await call.service.call(_writable, call)
    await call.service.call(repository.put, digest, data, document, names)
    headers: list[tuple[str, str]] = [
        ("Location", f"/v2/{call.name}/manifests/{digest}"), ("Docker-Content-Digest", digest),
    ]  # fmt: skip
    if document.subject is not None:
        headers.append(("OCI-Subject", document.subject))
    headers += [("OCI-Tag", tag) for tag in dict.fromkeys(tags)]
    call.exchange.respond(201, headers=tuple(headers))
