"""The kinds of failure, for the whole house.

A dozen kinds, chosen so that whoever catches one knows what to do next. Every door (HTTP, command line, OCI
runtime) turns kinds into its own codes in one table of its own; nothing below a door knows those codes.
This module imports nothing. OSError stays OSError below the hands; a hand turns it into a kind here when
it knows what it means to the user.
"""

from __future__ import annotations


class LodgeError(Exception):
    """The root of all kinds: a message for people and, where there is one, a hint what to do next.

    Failures of a clean-up that ran because of this error are attached with `add_note`; they never replace it.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class InvalidArgument(LodgeError):
    """The request can never succeed as it stands: a bad name, a type error, options at odds."""


class NotFound(LodgeError):
    """The thing that was named does not exist."""


class Conflict(LodgeError):
    """The thing is in a state, or in a use, that forbids the request now."""


class AlreadyExists(Conflict):
    """The name or the content that was to be made is there already."""


class NotModified(LodgeError):
    """Nothing to do: the thing is already as wished (start of a running container)."""


class Unauthorized(LodgeError):
    """Credentials are missing or wrong."""


class Forbidden(LodgeError):
    """The request is understood and refused by a rule."""


class Unsupported(LodgeError):
    """A valid request for something that this engine, host or kernel does not offer."""


class Unavailable(LodgeError):
    """A part that is needed does not answer now; trying again later may help."""


class TimedOut(LodgeError):
    """A bounded wait ran out."""


class Corrupt(LodgeError):
    """Bytes are not what their digest, size or format says."""


class Exhausted(LodgeError):
    """A resource is used up: disk space, memory, processes, addresses."""


class StartFailed(LodgeError):
    """The program of a container or an exec could not be started.

    `exit_code` follows the shell: 127 the command was not found, 126 it could not be executed, 128 the
    set-up around it failed.
    """

    def __init__(self, message: str, *, exit_code: int = 128, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class Internal(LodgeError):
    """A defect of Lodge, or a failure of the host that no other kind describes."""
