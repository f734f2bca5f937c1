"""What a daemon's refusal becomes: one table from HTTP statuses to the house's error kinds.

The reverse table, from kinds to statuses, lives at the door itself (`lodge.api`).
"""

from __future__ import annotations

from lodge import errors


class Refused(errors.LodgeError):
    """The daemon answered with an error: `status` is HTTP's, the message is the daemon's own."""

    status = 500


class RefusedInvalid(Refused, errors.InvalidArgument):
    """400: the request cannot succeed as it stands."""


class RefusedUnauthorized(Refused, errors.Unauthorized):
    """401: credentials are missing or wrong."""


class RefusedForbidden(Refused, errors.Forbidden):
    """403: refused by a rule."""


class RefusedNotFound(Refused, errors.NotFound):
    """404: no such thing."""


class RefusedConflict(Refused, errors.Conflict):
    """409: not in this state, or not while in use."""


class RefusedUnsupported(Refused, errors.Unsupported):
    """501: not offered by this daemon."""


class RefusedUnavailable(Refused, errors.Unavailable):
    """503: not now."""


class Failed(Refused, errors.Internal):
    """500 and all others: the daemon or its host failed."""


class Unreachable(errors.Unavailable):
    """No daemon answers at the address."""


_KINDS: dict[int, type[Refused]] = {
    400: RefusedInvalid,
    401: RefusedUnauthorized,
    403: RefusedForbidden,
    404: RefusedNotFound,
    409: RefusedConflict,
    501: RefusedUnsupported,
    503: RefusedUnavailable,
}


def refusal(status: int, body: bytes) -> Refused:
    """The error for an answer of `status` whose body is `{"message": ...}`, or plain text from a proxy."""
    from lodge.client.lean_json import loads

    message = body.decode("utf-8", "replace").strip()
    try:
        value = loads(body)
        if isinstance(value, dict):
            message = str(value.get("message") or message)
    except ValueError:
        pass
    error = _KINDS.get(status, Failed)(message or f"HTTP status {status}")
    error.status = status
    return error
