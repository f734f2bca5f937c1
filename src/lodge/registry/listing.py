"""Answers that list: tags, repositories, referrers (specification, "Content Discovery")."""

from __future__ import annotations

import bisect
from urllib.parse import quote, urlencode

import msgspec

from lodge.errors import Corrupt
from lodge.http.answer import Headers
from lodge.registry import documents, refusals
from lodge.registry.refusals import Refusal
from lodge.registry.service import Call, Readable
from lodge.registry.targets import check_digest
from lodge.spec.descriptor import OCI_INDEX
from lodge.spec.digest import Digest

_PAGE = 4 << 20
"""Bytes of descriptors in one answer of referrers: clients take no larger index."""
_TYPE = "application/json"


def tags(call: Call) -> None:
    """End-8a and end-8b."""
    every = call.repository().contents.sorted_tags()
    page, headers = _page(call, every, f"/v2/{call.name}/tags/list")
    body = msgspec.json.encode({"name": call.name, "tags": page})
    call.exchange.respond(200, body, content_type=_TYPE, headers=headers)


def catalog(call: Call) -> None:
    """Not of the specification, but of every registry: the names of repositories that hold something."""
    library = call.service.library
    names = [name for name in library.names() if _holds_something(library.find(name))]
    page, headers = _page(call, names, "/v2/_catalog")
    call.exchange.respond(
        200, msgspec.json.encode({"repositories": page}), content_type=_TYPE, headers=headers
    )


def _holds_something(repository: Readable | None) -> bool:
    return repository is not None and bool(repository.contents.manifests)


def _page(call: Call, every: list[str], path: str) -> tuple[list[str], Headers]:
    """The part of a sorted list that `last` and `n` ask for, and the Link to the next part."""
    query = call.query
    start = bisect.bisect_right(every, query["last"]) if query.get("last") else 0
    text = query.get("n")
    if text is None:
        return every[start:], ()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Refusal("UNSUPPORTED", f"invalid number of results: {text[:50]!r}", 400)
    page = every[start : start + int(text)]
    if not page or start + len(page) >= len(every):
        return page, ()
    link = f'<{path}?{urlencode({"n": text, "last": page[-1]})}>; rel="next"'
    return page, (("Link", link),)


def referrers(call: Call) -> None:
    """End-12a and end-12b: an index of manifests whose subject is the digest; empty for a stranger."""
    subject = check_digest(call.target.reference)
    repository = call.service.library.find(call.name)
    wanted, last = call.query.get("artifactType"), call.query.get("last", "")
    found = repository.contents.referrers.get(subject, []) if repository is not None else []
    entries: list[msgspec.Raw] = []
    headers: list[tuple[str, str]] = [("OCI-Filters-Applied", "artifactType")] if wanted else []
    size, previous = 0, subject
    for digest in sorted(found):
        assert repository is not None
        if digest <= last:
            continue
        entry = _entry(repository, digest, wanted)
        if entry is None:
            continue
        size += len(entry)
        if entries and size > _PAGE:
            headers.append(("Link", _next(call, subject, wanted, previous)))
            break
        entries.append(msgspec.Raw(entry))
        previous = digest
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    call.exchange.respond(200, msgspec.json.encode(index), content_type=OCI_INDEX, headers=tuple(headers))


def _entry(repository: Readable, digest: Digest, wanted: str | None) -> bytes | None:
    known = repository.contents.manifests.get(digest)
    if known is None:
        return None
    try:
        document = documents.read(repository.read(digest), known.media_type)
    except (refusals.Refusal, Corrupt):
        return None
    if wanted and document.artifact_type != wanted:
        return None
    fields: dict[str, object] = {
        "mediaType": known.media_type, "digest": str(digest), "size": known.size,
    }  # fmt: skip
    if document.artifact_type:
        fields["artifactType"] = document.artifact_type
    if document.annotations:
        fields["annotations"] = document.annotations
    return msgspec.json.encode(fields)


def _next(call: Call, subject: Digest, wanted: str | None, last: Digest) -> str:
    query = urlencode({**({"artifactType": wanted} if wanted else {}), "last": str(last)})
    return f'</v2/{call.name}/referrers/{quote(subject, safe=":")}?{query}>; rel="next"'
