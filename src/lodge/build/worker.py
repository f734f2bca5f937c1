"""What the solver needs of whoever runs the build: keys of contents, results of operations, a memory.

The engine fulfils it. The solver decides what is done and when; a worker does it and knows files, processes
and layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lodge.build.graph import Node, Result, Rootfs


class Progress(Protocol):
    """How a step tells what happens in it. Never waits."""

    def log(self, stream: int, data: bytes) -> None:
        """Output of a program: 1 or 2."""
        ...

    def status(self, id: str, current: int, total: int, *, done: bool = False) -> None:
        """How far something is, in bytes."""
        ...


class Worker(Protocol):
    """Does operations."""

    async def key(self, node: Node, inputs: Sequence[Result]) -> str | None:
        """The digest that says what would come of it, by the contents of its inputs.

        None for what has to be done in any case (and costs little, or finds out itself what is new).
        """
        ...

    async def perform(
        self, node: Node, inputs: Sequence[Result], progress: Progress, *, detail: str
    ) -> Result:
        """Do it; `detail` is the step's text, for the cache's listing. Ends early when it is cancelled."""
        ...


class Memory(Protocol):
    """Results by key, beyond one build."""

    async def find(self, key: str) -> Rootfs | None:
        """A result that is there, whole."""
        ...

    async def keep(self, key: str, result: Rootfs, *, parent: str, description: str) -> None:
        """Remember a result; `parent` is the chain below its own layer."""
        ...
