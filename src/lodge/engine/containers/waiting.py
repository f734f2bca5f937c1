"""Waiting for a container's end or removal. The wait begins with the call, so that no end is missed."""

from __future__ import annotations

import asyncio

from lodge.engine.census import Resident
from lodge.engine.models import ExitResult
from lodge.errors import InvalidArgument

CONDITIONS = ("", "not-running", "next-exit", "removed")


def begin(resident: Resident, condition: str) -> asyncio.Future[ExitResult]:
    """A future that brings the result; InvalidArgument for an unknown condition."""
    if condition not in CONDITIONS:
        raise InvalidArgument(f'invalid condition: "{condition}"')
    future: asyncio.Future[ExitResult] = asyncio.get_running_loop().create_future()
    state = resident.container.state
    if condition == "removed":
        resident.removals.append(future)
    elif condition == "next-exit" or state.running:
        resident.ends.append(future)
    else:
        future.set_result(ExitResult(exit_code=state.exit_code))
    return future
