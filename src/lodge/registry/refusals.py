"""The registry's way to say no: the error codes of the distribution-spec, with their statuses.

`lodge.errors` has kinds; the specification ("Error Codes") wants a finer word for each, so the door has an
error of its own, and every other error is translated here. Pure.
"""

from __future__ import annotations

import msgspec

from lodge import errors
from lodge.http.answer import Headers
from lodge.http.body import TooLarge


class Refusal(errors.LodgeError):
    """An answer of 4xx or 5xx: a code of the specification, a status, headers, a detail for programs."""

    def __init__(
        self, code: str, message: str, status: int, *, detail: object = None, headers: Headers = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.detail = detail
        self.headers = headers


def blob_unknown(digest: str) -> Refusal:
    """There is no such blob in the repository."""
    return Refusal("BLOB_UNKNOWN", "blob unknown to registry", 404, detail={"digest": str(digest)})


def manifest_unknown(reference: str) -> Refusal:
    """There is no manifest of that tag or digest in the repository."""
    return Refusal("MANIFEST_UNKNOWN", "manifest unknown", 404, detail={"reference": str(reference)})


def name_unknown(name: str) -> Refusal:
    """There is no such repository."""
    return Refusal("NAME_UNKNOWN", "repository name not known to registry", 404, detail={"name": name})


def upload_unknown(identity: str) -> Refusal:
    """The upload has ended, was given up, or never was."""
    return Refusal(
        "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", 404, detail={"id": identity[:128]}
    )


def name_invalid(name: str) -> Refusal:
    """The name of a repository is outside the grammar."""
    return Refusal("NAME_INVALID", "invalid repository name", 400, detail={"name": name[:300]})


def digest_invalid(text: str, why: str = "") -> Refusal:
    """A digest is malformed, of an unknown algorithm, or not that of what came."""
    return Refusal(
        "DIGEST_INVALID",
        why or "provided digest did not match uploaded content",
        400,
        detail={"digest": str(text)[:300]},
    )


def manifest_invalid(why: str) -> Refusal:
    """The body of a manifest is not what it must be."""
    return Refusal("MANIFEST_INVALID", why, 400)


def unsupported(why: str, status: int = 405) -> Refusal:
    """The registry does not do that."""
    return Refusal("UNSUPPORTED", why, status)


def page_not_found() -> Refusal:
    """The path is none of the specification's."""
    return Refusal("UNSUPPORTED", "page not found", 404)


_STATUSES: dict[type[errors.LodgeError], tuple[str, int]] = {
    errors.InvalidArgument: ("UNSUPPORTED", 400),
    errors.Unauthorized: ("UNAUTHORIZED", 401),
    errors.Forbidden: ("DENIED", 403),
    errors.NotFound: ("NAME_UNKNOWN", 404),
    errors.Conflict: ("BLOB_UPLOAD_INVALID", 409),
    TooLarge: ("SIZE_INVALID", 413),
    errors.Unsupported: ("UNSUPPORTED", 405),
    errors.Unavailable: ("UNKNOWN", 503),
    errors.TimedOut: ("UNKNOWN", 408),
    errors.Corrupt: ("UNKNOWN", 502),
    errors.Exhausted: ("UNKNOWN", 507),
}


def as_refusal(error: BaseException) -> Refusal:
    """Any error as what the client is told; what is our own fault says nothing of our insides."""
    if isinstance(error, Refusal):
        return error
    for kind in type(error).__mro__:
        found = _STATUSES.get(kind)
        if found is not None:
            return Refusal(found[0], str(error), found[1])
    return Refusal("UNKNOWN", "internal error", 500)


def body_of(refusal: Refusal) -> bytes:
    """The specification's error body."""
    error: dict[str, object] = {"code": refusal.code, "message": refusal.message}
    if refusal.detail is not None:
        error["detail"] = refusal.detail
    return msgspec.json.encode({"errors": [error]}) + b"\n"
