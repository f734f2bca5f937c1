"""Errors in gRPC: the one table of kinds and codes of this door, and the details that clients show.

A failed step carries the Dockerfile with its lines (errdefs.Source) and its vertex: buildx prints the excerpt
from them. Source: moby/buildkit, util/grpcerrors and solver/errdefs.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from lodge import errors
from lodge.api.buildkit import messages as m
from lodge.api.buildkit.progress import ranges, source_info
from lodge.api.buildkit.protobuf import Message
from lodge.api.buildkit.transport import GRPCError, Status, StreamTerminatedError
from lodge.api.failures import message_of
from lodge.build.dockerfile.problems import DockerfileError
from lodge.build.failures import StepFailed

_log = logging.getLogger("lodge.api")
_CODES: tuple[tuple[type[Exception], Status], ...] = (
    (errors.NotFound, Status.NOT_FOUND),
    (errors.Unsupported, Status.UNIMPLEMENTED),
    (errors.InvalidArgument, Status.INVALID_ARGUMENT),
    (errors.Forbidden, Status.PERMISSION_DENIED),
    (errors.Unauthorized, Status.UNAUTHENTICATED),
    (errors.Conflict, Status.FAILED_PRECONDITION),
    (errors.Exhausted, Status.RESOURCE_EXHAUSTED),
)


def fault(error: Exception) -> GRPCError:
    """The error that a client gets."""
    status = next((code for kind, code in _CODES if isinstance(error, kind)), Status.UNKNOWN)
    if isinstance(error, StepFailed | DockerfileError):
        status = Status.UNKNOWN
    return GRPCError(status, message_of(error), _details(error) or None)


def _details(error: Exception) -> list[tuple[str, bytes]]:
    details: list[tuple[str, bytes]] = []
    lines = getattr(error, "lines", None) or (0, 0)
    source, filename = getattr(error, "source", ""), getattr(error, "filename", "")
    if isinstance(error, StepFailed) and error.step:
        details.append(
            (f"type.googleapis.com/{m.VERTEX_REF.name}", m.VERTEX_REF.encode({"digest": error.step}))
        )
    if source and lines[0]:
        message = {"info": source_info(filename, source), "ranges": [ranges(lines)]}
        details.append((f"type.googleapis.com/{m.SOURCE.name}", m.SOURCE.encode(message)))
    return details


def returned_error(status: Message) -> GRPCError:
    """The error with which a client's own frontend ended, to be given back to it."""
    code = next((each for each in Status if each.value == status["code"]), Status.UNKNOWN)
    details = [(each["type_url"], each["value"]) for each in status["details"]]
    return GRPCError(code, status["message"], details or None)


def answering(act: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    """An action whose errors become the protocol's."""

    async def run(stream: Any) -> None:
        try:
            await act(stream)
        except (GRPCError, StreamTerminatedError):
            raise
        except errors.LodgeError as error:
            raise fault(error) from error
        except OSError as error:
            raise GRPCError(Status.UNKNOWN, message_of(error)) from error
        except Exception as error:
            _log.exception("a request of a BuildKit client failed")
            raise GRPCError(Status.INTERNAL, message_of(error)) from error

    return run
