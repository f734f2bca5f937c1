"""Solving a graph: every node once, what doesn't depend on each other at the same time, the cache first.

It knows no Dockerfile and waits for everything: work is done by a `Worker`. A node's key is made from the
contents of its inputs, so it can only be known once they are; a cached input costs a look into the memory.
Two builds that come to the same key at the same time share the work; it is given up when nobody waits for it
any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from msgspec import Struct

from lodge.build import contract as c
from lodge.build.failures import ProgramFailed, StepFailed
from lodge.build.graph import Image, Node, Result, Rootfs
from lodge.build.worker import Memory, Worker
from lodge.errors import LodgeError

_KEPT_LOG = 64 << 10


class Shared(Struct):
    """Work that is underway, by key: the task, its listeners, how many wait for it."""

    task: asyncio.Task[Result]
    relay: Relay
    waiting: int = 0


class Relay:
    """Passes a step's progress to every build that waits for it."""

    def __init__(self) -> None:
        self.listeners: list[tuple[c.Tell, str]] = []
        self.tail = bytearray()

    def log(self, stream: int, data: bytes) -> None:
        """See worker.Progress."""
        self.tail += data
        if len(self.tail) > 2 * _KEPT_LOG:
            del self.tail[:-_KEPT_LOG]
        for tell, step in self.listeners:
            tell(c.Log(at=time.time_ns(), step=step, stream=stream, data=data))

    def status(self, id: str, current: int, total: int, *, done: bool = False) -> None:
        """See worker.Progress."""
        for tell, step in self.listeners:
            tell(c.Status(at=time.time_ns(), step=step, id=id, current=current, total=total, done=done))


class Workshop:
    """What all builds of an engine share: the memory, and the work that is underway."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.underway: dict[str, Shared] = {}


class Solver:
    """Solves the graphs of one build. `keys` are those of its nodes, by their identity."""

    def __init__(
        self, workshop: Workshop, worker: Worker, tell: c.Tell, memory: Memory | None = None
    ) -> None:
        """`memory` knows more than the workshop's, for this build."""
        self._workshop = workshop
        self._memory = memory or workshop.memory
        self.keys: dict[int, str] = {}
        self._worker = worker
        self._tell = tell
        self._tasks: dict[int, asyncio.Task[Result]] = {}

    async def solve(self, node: Node) -> Result:
        """The result of a node. The first failure ends the rest, and is raised when that has ended.

        Raises StepFailed.
        """
        try:
            return await asyncio.shield(self._task(node))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Give up what is underway."""
        tasks = [task for task in self._tasks.values() if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _task(self, node: Node) -> asyncio.Task[Result]:
        task = self._tasks.get(id(node))
        if task is None:
            task = asyncio.ensure_future(self._node(node))
            # Whoever needs it looks at its failure; where all have gone nobody has to.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._tasks[id(node)] = task
        return task

    async def _node(self, node: Node) -> Result:
        inputs = await self._inputs(node)
        self._tell(c.Started(at=time.time_ns(), step=node.step))
        relay = Relay()
        try:
            result = await self._result(node, inputs, relay)
        except asyncio.CancelledError:
            self._finished(node, "context canceled")
            raise
        except (LodgeError, OSError) as error:
            failure = _failure(node, error, bytes(relay.tail))
            self._finished(node, failure.message)
            raise failure from error
        self._finished(node, "", result.chain if isinstance(result, Rootfs) else "")
        return result

    async def _inputs(self, node: Node) -> list[Result]:
        tasks = [self._task(each) for each in node.inputs]
        if not tasks:
            return []
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        return [await asyncio.shield(task) for task in tasks]

    def _finished(self, node: Node, error: str, result: str = "") -> None:
        self._tell(c.Finished(at=time.time_ns(), step=node.step.id, error=error, result=result))

    async def _result(self, node: Node, inputs: Sequence[Result], relay: Relay) -> Result:
        key = await self._worker.key(node, inputs)
        if key is None:
            relay.listeners.append((self._tell, node.step.id))
            return await self._worker.perform(node, inputs, relay, detail=node.step.name)
        self.keys[id(node)] = key
        if not node.ignore_cache:
            known = await self._memory.find(key)
            if known is not None:
                self._tell(c.Cached(at=time.time_ns(), step=node.step.id))
                return known
        self._tell(c.Working(at=time.time_ns(), step=node.step.id))
        return await self._shared(key, node, inputs, relay)

    async def _shared(self, key: str, node: Node, inputs: Sequence[Result], relay: Relay) -> Result:
        underway = self._workshop.underway
        shared = underway.get(key)
        if shared is None or shared.task.done():
            task = asyncio.ensure_future(self._perform(key, node, inputs, relay))
            shared = underway[key] = Shared(task, relay)
        listener = (self._tell, node.step.id)
        shared.relay.listeners.append(listener)
        shared.waiting += 1
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.waiting -= 1
            shared.relay.listeners.remove(listener)
            relay.tail = shared.relay.tail
            if not shared.waiting:
                if underway.get(key) is shared:
                    del underway[key]
                if not shared.task.done():
                    shared.task.cancel()
                    await asyncio.wait([shared.task])

    async def _perform(self, key: str, node: Node, inputs: Sequence[Result], relay: Relay) -> Result:
        result = await self._worker.perform(node, inputs, relay, detail=node.step.name)
        if isinstance(result, Rootfs) and not isinstance(node.operation, Image):
            base = inputs[0] if inputs else None
            parent = base.chain if isinstance(base, Rootfs) else ""
            await self._workshop.memory.keep(key, result, parent=parent, description=node.step.name)
        return result


def _failure(node: Node, error: Exception, log: bytes) -> StepFailed:
    if isinstance(error, StepFailed):
        return error
    message = str(error)
    hint = error.hint if isinstance(error, LodgeError) else None
    failed = error if isinstance(error, ProgramFailed) else None
    return StepFailed(
        message,
        step=node.step.id,
        name=node.step.name,
        lines=node.step.lines,
        command=failed.command if failed else "",
        exit_code=failed.exit_code if failed else None,
        log=log,
        hint=hint,
    )
