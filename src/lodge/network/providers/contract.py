"""What a link provider does; an engine without rights over the host's network knows no more of it."""

from __future__ import annotations

from typing import Protocol

from lodge.network.contract import Ready, Sandbox


class Provider(Protocol):
    """Joins sandboxes that exist to the world."""

    def furnish(self, sandbox: Sandbox, pid: int) -> Ready:
        """Interfaces, addresses, routes and ports in the namespace of a process, before its program runs.

        Conflict when a port is taken, Unsupported for what this provider has not; nothing is left then.
        """
        ...

    def release(self, container: str) -> None:
        """The container has ended: its ports are free when this returns. Idempotent."""
        ...
