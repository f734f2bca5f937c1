"""Registries' errors (distribution-spec, "Error Codes") and the net's, in the words of Docker. Pure.

What an error means for an image, `manifest for x not found`, is for `pulling` and `pushing` to say: they know
what was asked.
"""

from __future__ import annotations

import email.utils
import json
import time
from typing import Any

from lodge.errors import Exhausted, Forbidden, InvalidArgument, LodgeError, NotFound, Unavailable

ERROR_CAP = 64 << 10
"""Bytes that are read of an answer that says what is wrong."""
_LONGEST_MESSAGE = 1000
_TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 416: "Requested Range Not Satisfiable", 429: "Too Many Requests",
           500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
           504: "Gateway Timeout"}  # fmt: skip
_KINDS = {400: InvalidArgument, 401: Forbidden, 403: Forbidden, 404: NotFound, 413: InvalidArgument,
          429: Exhausted}  # fmt: skip


class Refusal:
    """What a registry said instead of doing it: a status, an error code such as MANIFEST_UNKNOWN, a text."""

    def __init__(self, status: int, code: str, message: str, *, detail: Any = None) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail

    @classmethod
    def read(cls, status: int, body: bytes) -> Refusal:
        """Read the body of an error; the first of several counts, as for Docker."""
        code = message = ""
        detail: Any = None
        try:
            document = json.loads(body)
            first = document["errors"][0] if document.get("errors") else document
            code = str(first.get("code") or "")
            message = str(first.get("message") or first.get("details") or first.get("error") or "")
            detail = first.get("detail")
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            pass
        if not message and not code:
            title = _TITLES.get(status, "")
            message = f"unexpected status from registry: {status} {title}".rstrip()
        return cls(status, code.upper()[:64], _printable(message), detail=detail)

    def __str__(self) -> str:
        if not self.code:
            return self.message
        words = self.code.replace("_", " ").lower()
        return f"{words}: {self.message or words}"


class RegistryError(LodgeError):
    """A registry refused a request. `refusal` says why; the kinds below say what that means to a caller."""

    def __init__(self, message: str, refusal: Refusal, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.refusal = refusal


def error_of(refusal: Refusal, what: str = "") -> LodgeError:
    """Make the error for a refusal: of the kind that its status has, with `what` was asked before it."""
    kind = _KINDS.get(refusal.status, Unavailable)
    text = f"{what}: {refusal}" if what else str(refusal)
    return _made(kind)(text, refusal)


_classes: dict[type[LodgeError], type[RegistryError]] = {}


def _made(kind: type[LodgeError]) -> type[RegistryError]:
    """Return the class of errors that is both a registry's and of a kind of the house."""
    if kind not in _classes:
        _classes[kind] = type(f"Registry{kind.__name__}", (RegistryError, kind), {})
    return _classes[kind]


def retry_after(value: str | None, default: float) -> float:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3); `default` without one."""
    if not value:
        return default
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError):
        return default
    return max(0.0, moment - time.time())


def _printable(text: str) -> str:
    """A registry's text goes to terminals: no control characters, and not without end."""
    return "".join(c if c.isprintable() else " " for c in text[:_LONGEST_MESSAGE])
