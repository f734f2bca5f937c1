"""What the door asks before it answers, and the gate that lets everybody in."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NamedTuple, Protocol

from lodge.http.head import Head


class Need(NamedTuple):
    """An action on a thing, in the words of token scopes: ("repository", "a/b", "pull")."""

    type: str
    name: str
    action: str

    def __str__(self) -> str:
        return f"{self.type}:{self.name}:{self.action}"


class Gate(Protocol):
    """One way to know clients."""

    def admit(self, head: Head, needs: tuple[Need, ...]) -> Awaitable[None] | None:
        """Let a request pass, at once (None) or after some work. Raises Refusal 401 or 403."""
        ...

    def allows(self, head: Head, need: Need) -> bool:
        """Whether an admitted request may do something further, such as mount from another repository."""
        ...


class Open:
    """Everybody may do everything that the registry does."""

    def admit(self, head: Head, needs: tuple[Need, ...]) -> None:
        """See Gate."""
        del head, needs

    def allows(self, head: Head, need: Need) -> bool:
        """See Gate."""
        del head, need
        return True
