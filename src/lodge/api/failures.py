"""The one table from kinds of failure to HTTP statuses, and how an error looks in an answer."""

from __future__ import annotations

import logging

import msgspec

from lodge import errors
from lodge.http.body import TooLarge

_log = logging.getLogger("lodge.api")

STATUSES: dict[type[errors.LodgeError], int] = {
    errors.InvalidArgument: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.NotModified: 304,
    TooLarge: 413,
    errors.Unsupported: 501,
    errors.Unavailable: 503,
    errors.TimedOut: 500,
    errors.Corrupt: 400,
    errors.Exhausted: 500,
    errors.StartFailed: 400,
    errors.Internal: 500,
}
"""Kinds that are not here take the status of the nearest kind above them."""


class NotAManager(errors.Unavailable):
    """Docker's answer outside a swarm."""


def status_of(error: BaseException) -> int:
    """The status for an error; a defect and the host's own failures are 500."""
    for kind in type(error).__mro__:
        status = STATUSES.get(kind)
        if status is not None:
            return status
    return 500


def message_of(error: BaseException) -> str:
    """What the client is told: the message, and the hint behind it where there is one."""
    if isinstance(error, errors.LodgeError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    if isinstance(error, OSError):
        return (
            f"{error.strerror or error}: {error.filename}" if error.filename else str(error.strerror or error)
        )
    return f"internal error: {type(error).__name__}: {error}"


def body_of(error: BaseException) -> bytes:
    """Docker's error body."""
    return msgspec.json.encode({"message": message_of(error)}) + b"\n"


def report(method: str, path: str, error: BaseException) -> None:
    """Log what is our fault with its traceback, what is the client's only for debugging."""
    if isinstance(error, errors.LodgeError | OSError):
        level = logging.ERROR if status_of(error) == 500 else logging.DEBUG
        _log.log(level, "%s %s: %s", method, path, message_of(error))
    else:
        _log.error("%s %s failed", method, path, exc_info=error)
