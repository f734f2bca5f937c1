"""Who lives here: all containers in memory, found by id, name or a beginning of an id.

A resident is a container with what only this engine's process needs of it: its keeper, who waits for its end,
clients that came before the start. Used by the loop's thread only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lodge.engine.models import Container, Exec, ExitResult
from lodge.engine.names import by_beginning
from lodge.errors import AlreadyExists, InvalidArgument, NotFound

if TYPE_CHECKING:
    from lodge.engine.keepers import Keeper
    from lodge.runtime.messages import Attach


class Resident:
    """One container and what belongs to it while this engine runs.

    `lock` is held by whoever starts, removes or changes it; waiting for an end never needs it. One that is
    `doomed` is about to be removed: nobody starts it any more.
    """

    def __init__(self, container: Container) -> None:
        self.container = container
        self.lock = asyncio.Lock()
        self.keeper: Keeper | None = None
        self.exec_ends: dict[str, asyncio.Future[int]] = {}
        self.execs: dict[str, Exec] = {}
        self.arrival: asyncio.Future[None] | None = None
        self.cradle: asyncio.Future[int] | None = None
        self.restarting_by_hand = False
        self.early: list[tuple[Attach, int]] = []
        self.ends: list[asyncio.Future[ExitResult]] = []
        self.removals: list[asyncio.Future[ExitResult]] = []
        self.back_off = 0.0
        self.started_clock = 0.0
        self.failures = 0
        self.restart: asyncio.Task[None] | None = None
        self.health: asyncio.Task[None] | None = None
        self.doomed = False
        self.gone = False

    @property
    def id(self) -> str:
        """The full id."""
        return self.container.id

    def __repr__(self) -> str:
        return f"<resident {self.container.name} {self.id[:12]} {self.container.state.status}>"


class Census:
    """All residents. Each name and id once."""

    def __init__(self) -> None:
        self._by_id: dict[str, Resident] = {}
        self._by_name: dict[str, Resident] = {}
        self._reserved: set[str] = set()

    def __iter__(self) -> Iterator[Resident]:
        """In the order of their making."""
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def taken(self, name: str) -> bool:
        """Whether a container has this name, or is being made with it."""
        return name in self._by_name or name in self._reserved

    def reserve(self, name: str) -> None:
        """Keep a name for a container in the making; AlreadyExists in Docker's words."""
        if (other := self._by_name.get(name)) is not None:
            raise AlreadyExists(
                f'Conflict. The container name "/{name}" is already in use by container "{other.id}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )
        if name in self._reserved:
            raise AlreadyExists(f'Conflict. The container name "/{name}" is already in use.')
        self._reserved.add(name)

    def release(self, name: str) -> None:
        """Give a reserved name back; idempotent."""
        self._reserved.discard(name)

    def add(self, resident: Resident) -> None:
        """Let one in; its name may have been reserved before."""
        self._reserved.discard(resident.container.name)
        self._by_id[resident.id] = resident
        self._by_name[resident.container.name] = resident

    def drop(self, resident: Resident) -> None:
        """Let one go; idempotent."""
        self._by_id.pop(resident.id, None)
        if self._by_name.get(resident.container.name) is resident:
            del self._by_name[resident.container.name]

    def renamed(self, resident: Resident, old: str) -> None:
        """Note that one has a new name."""
        self._reserved.discard(resident.container.name)
        self._by_name.pop(old, None)
        self._by_name[resident.container.name] = resident

    def knows(self, id: str) -> bool:
        """Whether a container of this very id is here."""
        return id in self._by_id

    def find(self, name: str) -> Resident:
        """The container that people mean: a full id, a name, or a beginning of one id alone.

        NotFound "No such container: x"; InvalidArgument when a beginning fits several.
        """
        if (found := self._by_id.get(name)) is not None:
            return found
        if not name:
            raise InvalidArgument("no container name or ID supplied")
        if (found := self._by_name.get(name.removeprefix("/"))) is not None:
            return found
        fits = by_beginning(name, self._by_id)
        if len(fits) == 1:
            return self._by_id[fits[0]]
        if fits:
            raise InvalidArgument(f"Multiple IDs found with provided prefix: {name}")
        raise NotFound(f"No such container: {name}")

    def named(self, name: str, words: str = "") -> Resident:
        """One that a wish names: InvalidArgument when it isn't there, after `words`.

        Clients take NotFound of a creation for a missing image, and pull it.
        """
        try:
            return self.find(name)
        except NotFound as error:
            raise InvalidArgument(words + error.message) from None
