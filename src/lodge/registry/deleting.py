"""Answers of a deletion: tags, manifests, blobs (specification, "Content Management")."""

from __future__ import annotations

from lodge.registry import refusals
from lodge.registry.repository import Repository
from lodge.registry.service import Call
from lodge.registry.targets import check_digest, is_tag


def _known(call: Call) -> Repository:
    directory = call.service.directory
    found = directory.find(call.name) if directory is not None else None
    if found is None:
        raise refusals.name_unknown(call.name)
    return found


async def manifest(call: Call) -> None:
    """End-9: a tag alone, or a manifest by digest with all its tags."""
    reference = call.target.reference
    repository = await call.service.call(_known, call)
    if is_tag(reference):
        if not await call.service.call(repository.untag, reference):
            raise refusals.manifest_unknown(reference)
    else:
        digest = check_digest(reference)
        if digest not in repository.contents.manifests:
            raise refusals.manifest_unknown(digest)
        await call.service.call(repository.forget, {digest})
    call.exchange.respond(202)


async def blob(call: Call) -> None:
    """End-10."""
    digest = check_digest(call.target.reference)
    repository = await call.service.call(_known, call)
    if digest in repository.contents.manifests:
        raise refusals.unsupported("this is a manifest: delete it as one")
    if not await call.service.call(repository.blobs.discard, digest):
        raise refusals.blob_unknown(digest)
    call.exchange.respond(202)
