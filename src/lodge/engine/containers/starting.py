"""Bringing a container to life: what a start needs is found, the monitor is launched, the program is started.

Launch, clients that came early, and Start go to the monitor in one go, before it even exists. The state
changes when its facts arrive (`facts`), in their order.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import msgspec

from lodge.engine.census import Resident
from lodge.engine.containers import furniture
from lodge.engine.containers.clearing import clear_directory
from lodge.engine.containers.facts import Facts
from lodge.engine.keepers import FIRST, Keeper
from lodge.engine.lifecycle import Fact, advance
from lodge.engine.models import Container
from lodge.engine.networks.attaching import Attachments, wired
from lodge.engine.parts import Parts
from lodge.engine.planning import launch, logging, machines
from lodge.errors import Conflict, InvalidArgument, LodgeError, NotModified, StartFailed, Unavailable
from lodge.runtime.exit_record import MONITOR_RECORD
from lodge.runtime.messages import PROCESS_WING, VM_WING, Answer, Done, Launch, Signal, Start

if TYPE_CHECKING:
    from lodge.network.contract import Sandbox

_COULD_NOT_START = 128
_NO_SUCH_COMMAND = 127
_PREFIX = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: "
)
_NETWORKING = "failed to set up container networking: "
# What Docker's daemon finds before it calls a runtime, and so says without the runtime's words around it.
_FOUND_BY_DOCKER_ITSELF = (
    "path ",
    "cannot access path ",
    "failed to join ",
    "cannot join network namespace of ",
    "failed to create task for container: failed to initialize logging driver",
    "unable to find user",
    "unable to find group",
    "error gathering device information",
    _NETWORKING,
    "Cannot link to a non running container",
)


class Starter:
    """Starts containers."""

    def __init__(self, parts: Parts, facts: Facts, attachments: Attachments) -> None:
        self._parts = parts
        self._facts = facts
        self._attachments = attachments

    async def start(self, resident: Resident, *, by_policy: bool = False) -> None:
        """Start it. NotModified when it runs, Conflict when it is being removed, StartFailed with a code."""
        async with resident.lock:
            self._check(resident)
            if not by_policy:
                resident.failures = 0
                resident.back_off = 0.0
                resident.container.manually_stopped = False
            await self.launch(resident)

    def _check(self, resident: Resident) -> None:
        if resident.doomed:
            raise Conflict("container is marked for removal and cannot be started")
        match resident.container.state.status:
            case "running":
                raise NotModified(f"container {resident.container.name} is already started")
            case "paused":
                raise Conflict("cannot start a paused container, try unpause instead")
            case "removing" | "dead":
                raise Conflict("container is marked for removal and cannot be started")
            case _:
                pass

    async def launch(self, resident: Resident) -> None:
        """Start it now; the caller holds the lock."""
        resident.arrival = None
        try:
            sandbox = await self._settle(resident.container) if wired(resident.container) else None
            order = await self._order(resident, sandbox)
            # What an earlier life left there would read as a sign of this one.
            clear_directory(order.state_dir)
            try:
                await self._talk(resident, order, sandbox)
            except Unavailable:
                if os.path.exists(os.path.join(order.state_dir, MONITOR_RECORD)):
                    raise
                # The order fell into a dying zygote and no monitor ever came of it: nothing was done yet.
                await self._talk(resident, order, sandbox)
        except (LodgeError, OSError) as error:
            failure = _start_failure(error)
            self._failed(resident, failure)
            raise failure from error
        finally:
            _let_go(resident)

    async def _settle(self, container: Container) -> Sandbox | None:
        """Take addresses, and write them down: what is made of them must be found again after a crash."""
        try:
            sandbox = await self._attachments.settle(container)
        except LodgeError as error:
            error.message = _NETWORKING + error.message
            raise
        self._parts.rows.save(container, durable=False)
        return sandbox if sandbox.endpoints else None

    async def _stand(self, container: Container, sandbox: Sandbox) -> str:
        """The path of a namespace with all interfaces."""
        try:
            return (await self._attachments.stand(container, sandbox)).path
        except LodgeError as error:
            error.message = _NETWORKING + error.message
            raise

    def _furnished_later(self, container: Container) -> bool:
        """Whether the init makes its network namespace itself, and the hands furnish it meanwhile.

        So an init that was born ahead fits, and one in a user namespace of its own owns its network. Others'
        programs are given a namespace that is ready.
        """
        host = container.wish.host
        return host.runtime not in self._parts.settings.runtimes and not machines.wanted(host)

    async def _order(self, resident: Resident, sandbox: Sandbox | None) -> Launch:
        parts, container = self._parts, resident.container
        found = await furniture.find(parts, container)
        if sandbox is not None and not self._furnished_later(container):
            found.network_path = await self._stand(container, sandbox)
        config, host = container.wish.config, container.wish.host
        state_dir = parts.state_directory(container.id)
        size = host.console_size if config.tty else None
        foreign = parts.settings.runtimes.get(host.runtime)
        runtime_config = launch.runtime_config(container, found, parts.settings, parts.facts)
        with_reaper = furniture.wants_init(container, parts.settings) and not found.init_path
        if foreign is not None:
            _suit_foreign(with_reaper=with_reaper)
        extras = launch.extras(container, found, reaper=with_reaper)
        return Launch(
            request=FIRST,
            id=container.id,
            bundle=state_dir,
            state_dir=state_dir,
            config=runtime_config,
            runtime=foreign.path if foreign else VM_WING if machines.wanted(host) else PROCESS_WING,
            runtime_arguments=list(foreign.arguments) if foreign else [],
            root_mounts=list(parts.store.snapshots.mounts(container.id)),
            extras=msgspec.Raw(msgspec.json.encode(extras)),
            terminal=config.tty,
            stdin=config.open_stdin,
            stdin_once=config.stdin_once,
            window=(size[0], size[1]) if size and all(size) else None,
            log=logging.spec(container),
            measure=parts.settings.measure,
        )

    async def _talk(self, resident: Resident, order: Launch, sandbox: Sandbox | None) -> None:
        resident.arrival = asyncio.get_running_loop().create_future()
        resident.cradle = asyncio.get_running_loop().create_future()
        keeper = self._facts.meet(resident, self._parts.launcher.launch(order))
        launched = keeper.expect(order.request)
        self._pass_early_clients(resident, keeper)
        if sandbox is not None and self._furnished_later(resident.container):
            await self._furnish(resident, keeper, sandbox, launched)
        started = keeper.post(Start(request=keeper.next_number()))
        await launched
        # They are the monitor's now: one that kept a copy here would hide the end of the connection.
        _let_go(resident)
        await started
        await resident.arrival

    async def _furnish(
        self, resident: Resident, keeper: Keeper, sandbox: Sandbox, launched: asyncio.Future[Answer]
    ) -> None:
        """Make the network while the init makes the rest; its program waits for both."""
        container, cradle = resident.container, resident.cradle
        assert cradle is not None
        first: list[asyncio.Future[Any]] = [cradle, launched]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        try:
            if cradle.done():
                await self._attachments.furnish(container, sandbox, cradle.result())
            made = await launched
            assert isinstance(made, Done)
            if not cradle.done() or cradle.result() != made.pid:
                # Nobody was born ahead, or an order that the newborn could not fulfil went to another.
                await self._attachments.furnish(container, sandbox, made.pid)
        except BaseException as error:
            keeper.post(Signal(request=keeper.next_number(), number=signal.SIGKILL))
            if isinstance(error, LodgeError):
                error.message = _NETWORKING + error.message
            raise

    def _pass_early_clients(self, resident: Resident, keeper: Keeper) -> None:
        for attach, fd in resident.early:
            attach.request = keeper.next_number()
            keeper.post(attach, [fd])

    def _failed(self, resident: Resident, failure: StartFailed) -> None:
        state = resident.container.state
        arrival = resident.arrival
        if arrival is not None and arrival.done() and not arrival.cancelled() and not arrival.exception():
            return
        advance(
            state, Fact.START_FAILED, at=time.time_ns(), exit_code=failure.exit_code, error=failure.message
        )
        self._parts.rows.save(resident.container, durable=False)
        self._facts.start_failed(resident)


def _let_go(resident: Resident) -> None:
    """Close this engine's copies of the connections of clients that came early; idempotent."""
    early, resident.early = resident.early, []
    for _attach, fd in early:
        os.close(fd)


def _start_failure(error: Exception) -> StartFailed:
    message, code = str(error), _COULD_NOT_START
    if isinstance(error, StartFailed):
        code = error.exit_code
    elif isinstance(error, InvalidArgument):
        code = _NO_SUCH_COMMAND
    if message.startswith('exec: "'):
        message = "error during container init: " + message
    if not message.startswith(_FOUND_BY_DOCKER_ITSELF):
        message = _PREFIX + message
    hint = error.hint if isinstance(error, LodgeError) else None
    return StartFailed(message, exit_code=code, hint=hint)


def _suit_foreign(*, with_reaper: bool) -> None:
    """An external runtime knows none of the extras: refuse what would be lost."""
    if with_reaper:
        raise InvalidArgument(
            "--init with an external runtime needs an init program on this host",
            hint="apt-get install tini (or catatonit)",
        )
