"""Signals and halts: kill, stop, restart, pause and unpause."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from lodge.engine.census import Resident
from lodge.engine.containers.ending import Ending
from lodge.engine.containers.news import announce
from lodge.engine.containers.starting import Starter
from lodge.engine.keepers import Keeper
from lodge.engine.lifecycle import Fact, advance
from lodge.engine.models import ExitResult
from lodge.engine.parts import Parts
from lodge.engine.planning.checks import check_signal
from lodge.engine.planning.defaults import STOP_SIGNAL
from lodge.errors import Conflict, Internal, LodgeError, NotFound, NotModified, Unavailable
from lodge.runtime.messages import Pause, Resume, Signal

_AFTER_KILL = 10.0


class Stopper:
    """Signals, stops, restarts and pauses containers."""

    def __init__(self, parts: Parts, starter: Starter, ending: Ending) -> None:
        self._parts = parts
        self._starter = starter
        self._ending = ending

    async def kill(self, resident: Resident, name: str) -> None:
        """Send a signal; SIGKILL waits for the end. Conflict when it does not run."""
        number = check_signal(name or "KILL")
        try:
            if number == signal.SIGKILL:
                await self.kill_and_wait(resident)
            else:
                await self._send(resident, number)
        except Conflict as error:
            raise Conflict(f"cannot kill container: {resident.container.name}: {error}") from error

    async def kill_and_wait(self, resident: Resident, *, by_hand: bool = True) -> None:
        """End it now and wait until it has ended; Conflict when it does not run.

        Unless it is `by_hand`, its restart policy goes by this end as by any other.
        """
        end = self._end_of(resident)
        await self._send(resident, signal.SIGKILL, by_hand=by_hand)
        if resident.container.state.running and not await _within(end, _AFTER_KILL):
            raise Internal(
                f"tried to kill container {resident.container.name}, but it did not end",
                hint="a process of it may hang in the kernel, for example on a dead network file system",
            )

    async def _send(self, resident: Resident, number: int, *, by_hand: bool = True) -> None:
        container = resident.container
        if not container.state.running:
            raise Conflict(f"container {container.id} is not running")
        if by_hand and not self._ending.closing and self._ends(resident, number):
            container.manually_stopped = True
        if self._ending.cancel_restart(resident):
            return
        if container.state.status == "restarting":
            # Its policy is starting it right now: the signal is for what comes of that.
            async with resident.lock:
                pass
        keeper = resident.keeper
        paused = container.state.status == "paused"
        with contextlib.suppress(NotFound, ProcessLookupError, Unavailable):
            if keeper is not None:
                # A frozen process can't die: thaw it once the signal waits for it.
                sent = keeper.post(Signal(request=keeper.next_number(), number=number))
                if paused:
                    keeper.post(Resume(request=keeper.next_number()))
                await sent
        if paused and container.state.status == "paused":
            advance(container.state, Fact.RESUMED)
        announce(self._parts, resident, "kill", signal=str(number))

    def _ends(self, resident: Resident, number: int) -> bool:
        """Whether this signal is meant to end it, so that its policy must not start it again."""
        own = resident.container.wish.config.stop_signal
        return number == signal.SIGKILL or not own or number == check_signal(own)

    async def stop(self, resident: Resident, *, signal_name: str | None, timeout: int | None) -> None:
        """Ask it to end, then make it; NotModified when it does not run."""
        container = resident.container
        if not container.state.running:
            raise NotModified("container is already stopped")
        number = check_signal(signal_name or container.wish.config.stop_signal or STOP_SIGNAL)
        if timeout is None:
            timeout = container.wish.config.stop_timeout
        if timeout is None:
            timeout = self._parts.settings.stop_timeout
        await self._halt(resident, number, None if timeout < 0 else float(timeout))
        announce(self._parts, resident, "stop")

    async def _halt(self, resident: Resident, number: int, timeout: float | None) -> None:
        end = self._end_of(resident)
        resident.container.manually_stopped = True
        try:
            await self._send(resident, number)
            resident.container.manually_stopped = True
        except Conflict:
            return
        if not resident.container.state.running or await _within(end, timeout):
            return
        with contextlib.suppress(Conflict):
            await self.kill_and_wait(resident)

    def _end_of(self, resident: Resident) -> asyncio.Future[ExitResult]:
        end: asyncio.Future[ExitResult] = asyncio.get_running_loop().create_future()
        resident.ends.append(end)
        return end

    async def restart(self, resident: Resident, *, signal_name: str | None, timeout: int | None) -> None:
        """Stop it if it runs, then start it; auto-remove and the policy stay out of it."""
        try:
            resident.restarting_by_hand = True
            try:
                await self.stop(resident, signal_name=signal_name, timeout=timeout)
            except NotModified:
                pass
            finally:
                resident.restarting_by_hand = False
            with contextlib.suppress(NotModified):
                await self._starter.start(resident)
        except LodgeError as error:
            error.message = f"Cannot restart container {resident.container.name}: {error.message}"
            raise
        announce(self._parts, resident, "restart")

    async def pause(self, resident: Resident) -> None:
        """Freeze it; Conflict when it is not running or paused already."""
        async with resident.lock:
            container = resident.container
            match container.state.status:
                case "running":
                    pass
                case "paused":
                    raise Conflict(f"Container {container.id} is already paused")
                case "restarting":
                    raise Conflict(
                        f"Container {container.id} is restarting, wait until the container is running"
                    )
                case _:
                    raise Conflict(f"container {container.id} is not running")
            keeper = _keeper_of(resident)
            await keeper.post(Pause(request=keeper.next_number()))
            advance(container.state, Fact.PAUSED)
            self._parts.rows.save(container, durable=False)
            announce(self._parts, resident, "pause")

    async def unpause(self, resident: Resident) -> None:
        """Let it run on; Conflict when it is not paused."""
        async with resident.lock:
            container = resident.container
            if container.state.status != "paused":
                raise Conflict(f"Container {container.id} is not paused")
            keeper = _keeper_of(resident)
            await keeper.post(Resume(request=keeper.next_number()))
            if container.state.status == "paused":
                advance(container.state, Fact.RESUMED)
            self._parts.rows.save(container, durable=False)
            announce(self._parts, resident, "unpause")


def _keeper_of(resident: Resident) -> Keeper:
    if resident.keeper is None:
        raise Conflict(f"container {resident.id} is not running")
    return resident.keeper


async def _within(end: asyncio.Future[ExitResult], timeout: float | None) -> bool:
    """Whether the end came in time."""
    done, _ = await asyncio.wait([end], timeout=timeout)
    return bool(done)
