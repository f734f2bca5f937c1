"""Further programs in running containers: made, started by the monitor, known until the container ends.

A *program* here is an exec: its wish, whether it runs, how it ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from lodge.engine import names
from lodge.engine.census import Resident
from lodge.engine.containers.news import announce
from lodge.engine.containers.streaming import detach_keys
from lodge.engine.keepers import Keeper
from lodge.engine.models import Exec, ExecWish
from lodge.engine.networks import texts
from lodge.engine.parts import Parts
from lodge.engine.planning import environment, launch
from lodge.errors import Conflict, InvalidArgument, LodgeError, NotFound, StartFailed
from lodge.runtime.messages import Done, Execute, Resize, Signal

if TYPE_CHECKING:
    from lodge.engine.containers.streaming import Handover

_FAILED = 126
_LONGEST_OUTPUT = 16384
_PREFIX = "OCI runtime exec failed: exec failed: unable to start container process: "


class Execs:
    """Execs of all containers; fulfils `lodge.api.backend.Execs`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._owners: dict[str, Resident] = {}

    async def create(self, container: str, wish: ExecWish) -> Exec:
        """Make one; Conflict unless the container runs, InvalidArgument for no command."""
        resident = self._parts.census.find(container)
        _check_running(resident)
        if not wish.command:
            raise InvalidArgument("No exec command specified")
        detach_keys(wish.detach_keys)
        environment.check(wish.env)
        program = Exec(id=names.new_id(), container_id=resident.id, wish=wish)
        self.adopt(resident, program)
        resident.container.exec_ids.append(program.id)
        self._parts.rows.save_exec(program)
        announce(self._parts, resident, f"exec_create: {' '.join(wish.command)}", execID=program.id)
        return program

    def adopt(self, resident: Resident, program: Exec) -> None:
        """Know an program, a new one or one from the rows."""
        resident.execs[program.id] = program
        self._owners[program.id] = resident

    def _find(self, id: str) -> tuple[Resident, Exec]:
        resident = self._owners.get(id)
        if resident is None or id not in resident.execs:
            fits = names.by_beginning(id, self._owners) if id else []
            if len(fits) != 1 or fits[0] == id:
                raise NotFound(f"No such exec instance: {id}")
            return self._find(fits[0])
        if resident.gone:
            del self._owners[id]
            raise NotFound(f"No such exec instance: {id}")
        return resident, resident.execs[id]

    async def get(self, id: str) -> Exec:
        """What is known of it; NotFound "No such exec instance: x"."""
        resident, program = self._find(id)
        if program.running and resident.keeper is not None:
            resident.keeper.listen()  # its end may have been told, and its client is here to ask for the code
        if program.exit_code is None and resident.container.state.status not in ("running", "paused"):
            raise Conflict(
                f"Container {resident.id} is not running: Exited ({resident.container.state.exit_code})"
            )
        return program

    async def start(
        self, id: str, *, detach: bool, terminal: bool | None, window: tuple[int, int] | None, framed: bool
    ) -> Callable[[Handover], None] | None:
        """Start it: at once when detached, else by the returned call, which hands the connection over.

        Whether it has a terminal was said when it was made; what a client says now only shapes the answer.
        """
        del terminal
        resident, program = self._find(id)
        keeper = _check_running(resident)
        if program.exit_code is not None:
            raise Conflict(f"exec command {program.id} has already run")
        if program.running:
            raise Conflict(f"exec command {program.id} is already running")
        if window is not None:
            program.wish.window = window
        order = self._order(resident, program, framed=framed)
        program.running = True
        announce(self._parts, resident, f"exec_start: {' '.join(program.wish.command)}", execID=program.id)
        if detach:
            await self._start_detached(keeper, program, order)
            return None

        def hand_over(client: Handover) -> None:
            fd, order.received = client.take()
            try:
                order.request = keeper.next_number()
                answer = keeper.post(order, [fd])
                answer.add_done_callback(lambda done: self._answered(program, done))
            finally:
                os.close(fd)

        return hand_over

    def _order(self, resident: Resident, program: Exec, *, framed: bool) -> Execute:
        parts, wish = self._parts, program.wish
        linked = texts.linked_variables(parts, resident.container)
        process = launch.exec_process(resident.container, wish, parts.settings, parts.facts, linked)
        extras = launch.exec_extras(resident.container, wish)
        return Execute(
            request=0,
            exec_id=program.id,
            process=process,
            terminal=wish.terminal,
            stdin=wish.attach_stdin,
            stdout=wish.attach_stdout,
            stderr=wish.attach_stderr,
            framed=framed,
            detach_keys=detach_keys(wish.detach_keys),
            window=wish.window if wish.window and all(wish.window) else None,
            extras=msgspec.Raw(msgspec.json.encode(extras)),
        )

    async def _start_detached(self, keeper: Keeper, program: Exec, order: Execute) -> None:
        order.request = keeper.next_number()
        order.stdin = False
        try:
            answer = await keeper.post(order)
        except LodgeError as error:
            code = error.exit_code if isinstance(error, StartFailed) else _FAILED
            program.running, program.exit_code = False, code
            text = error.message if error.message.startswith(_PREFIX) else _PREFIX + error.message
            raise StartFailed(text, exit_code=code) from error
        if isinstance(answer, Done) and program.running:
            program.pid = answer.pid

    async def probe(self, resident: Resident, command: list[str], timeout: float) -> tuple[int, str]:
        """Run a command for a health check: exit code and output. TimeoutError, and it is killed then."""
        wish = ExecWish(command=command, attach_stdout=True, attach_stderr=True)
        program = Exec(id=names.new_id(), container_id=resident.id, wish=wish)
        keeper = _check_running(resident)
        order = self._order(resident, program, framed=False)
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ended: asyncio.Future[int] = loop.create_future()
        resident.exec_ends[program.id] = ended
        try:
            ours.setblocking(False)
            order.request = keeper.next_number()
            answer = keeper.post(order, [theirs.fileno()])
            theirs.close()
            async with asyncio.timeout(timeout):
                await answer
                output = await _read_all(ours)
                return await ended, output.decode(errors="replace")
        except StartFailed as error:
            return error.exit_code, error.message
        except TimeoutError:
            keeper.post(Signal(request=keeper.next_number(), exec_id=program.id, number=signal.SIGKILL))
            raise
        finally:
            ours.close()
            theirs.close()
            resident.exec_ends.pop(program.id, None)

    def _answered(self, program: Exec, done: object) -> None:
        """The monitor said whether it runs; why not is in the stream, the code comes as a fact too."""
        import asyncio

        assert isinstance(done, asyncio.Future)
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            answer = done.result()
            if program.running and isinstance(answer, Done):
                program.pid = answer.pid
        elif program.exit_code is None:
            program.running = False
            program.exit_code = error.exit_code if isinstance(error, StartFailed) else _FAILED

    def end_of(self, id: str) -> asyncio.Future[int]:
        """A future that brings its exit code."""
        resident, program = self._find(id)
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if program.exit_code is not None:
            ended.set_result(program.exit_code)
        else:
            resident.exec_ends[program.id] = ended
        return ended

    async def resize(self, id: str, rows: int, columns: int) -> None:
        """Set its terminal's size; Conflict when it does not run."""
        resident, program = self._find(id)
        keeper = _check_running(resident)
        await keeper.post(
            Resize(request=keeper.next_number(), rows=rows, columns=columns, exec_id=program.id)
        )


def _check_running(resident: Resident) -> Keeper:
    container = resident.container
    match container.state.status:
        case "paused":
            raise Conflict(f"Container {container.name} is paused, unpause the container before exec")
        case "restarting":
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
        case _:
            pass
    if container.state.status != "running" or resident.keeper is None:
        raise Conflict(f"container {container.id} is not running")
    return resident.keeper


async def _read_all(sock: socket.socket) -> bytes:
    """What comes until the end; of a flood only the beginning is kept."""
    loop = asyncio.get_running_loop()
    kept = b""
    while data := await loop.sock_recv(sock, 65536):
        if len(kept) <= _LONGEST_OUTPUT:
            kept += data
    return kept
