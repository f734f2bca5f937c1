"""Errors on their way through a link: an exception as a `Failed`, and a `Failed` as an exception again."""

from __future__ import annotations

import lodge.errors
from lodge.errors import Internal, LodgeError, StartFailed
from lodge.runtime.messages import Failed


def failed(request: int, error: Exception) -> Failed:
    """Say an exception. Anything that is no LodgeError is Internal, with the name of its class."""
    if not isinstance(error, LodgeError):
        text = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        return Failed(request=request, kind="Internal", message=text)
    return Failed(
        request=request,
        kind=type(error).__name__,
        message=error.message,
        hint=error.hint,
        exit_code=error.exit_code if isinstance(error, StartFailed) else None,
    )


def error_of(answer: Failed) -> LodgeError:
    """The exception that was said; Internal for a kind that this version does not know."""
    if answer.kind == "StartFailed":
        code = 128 if answer.exit_code is None else answer.exit_code
        return StartFailed(answer.message, exit_code=code, hint=answer.hint)
    kind = getattr(lodge.errors, answer.kind, Internal)
    if not (isinstance(kind, type) and issubclass(kind, LodgeError)):
        kind = Internal
    return kind(answer.message, hint=answer.hint)
