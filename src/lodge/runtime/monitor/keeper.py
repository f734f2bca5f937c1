"""The keeper of one container: answers the engines' requests, tells what happens, writes the records.

The vocabulary and the order of the talk are in `runtime.messages`, the states in `runtime.states`; this is
the only writer of the container's state. Nothing that goes wrong in a request ends the monitor.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, runtime_checkable

import msgspec

from lodge.errors import Conflict, Internal, InvalidArgument
from lodge.runtime import exit_record, messages, states
from lodge.runtime.contract import Dwelling, OutOfSight, StdioRequest
from lodge.runtime.failures import failed
from lodge.runtime.link import EngineLink
from lodge.runtime.logs.sink import LogSink
from lodge.runtime.messages import Answer, Done, SealedLaunch
from lodge.runtime.monitor.execs import Execs
from lodge.runtime.monitor.hub import Hub
from lodge.runtime.monitor.loop import Loop
from lodge.runtime.monitor.memory import MemoryWatch, TellsOfMemory
from lodge.runtime.monitor.order import outline_of
from lodge.runtime.monitor.session import Session

_COULD_NOT_START = 128

MakeDwelling = Callable[[SealedLaunch], Dwelling]


@runtime_checkable
class BornAhead(Protocol):
    """A dwelling that may have an init before it is created."""

    @property
    def newborn(self) -> int:
        """The init's pid, 0 for none."""


class Keeper:
    """One container's life, from Launch to Exited. The loop is stopped when all is over.

    `settled` is called once the program runs, after everybody was told; not when it never will.
    """

    def __init__(
        self, loop: Loop, make_dwelling: MakeDwelling, settled: Callable[[], None] = lambda: None
    ) -> None:
        self._loop = loop
        self._settled = settled
        self._make_dwelling = make_dwelling
        self.hub = Hub(loop, self.handle)
        self._execs = Execs(loop, self.hub.broadcast, self._exec_detached, self._client_gone)
        self._order: SealedLaunch | None = None
        self._state: states.State | None = None
        self._dwelling: Dwelling | None = None
        self._session: Session | None = None
        self._log: LogSink | None = None
        self._started_at = 0
        # The request after whose failure there is nothing to keep any more.
        self._decisive: messages.Request | None = None
        self._oom_kills = 0
        self._memory: MemoryWatch | None = None
        self._cpu_ns = 0
        self._peak_memory = 0
        self._over = False
        self._last_words = ""

    def serve(self, sock: socket.socket) -> None:
        """Take the first link, which the monitor was born with."""
        self.hub.add(sock)

    # ---- requests

    def handle(self, link: EngineLink, request: Any, fds: list[int]) -> None:
        """Serve one request and answer it."""
        try:
            fd = self._only_fd(request, fds)
            answer = self._actions[type(request)](self, request, fd)
        except Exception as error:
            self.hub.answer(link, failed(request.request, error))
            if request is self._decisive:
                self._abandon(error)
            return
        self.hub.answer(link, answer)
        self._tell_after(request)

    def _only_fd(self, request: messages.Request, fds: list[int]) -> int | None:
        """The fd of a request that takes one; strays are closed and refused."""
        takes = isinstance(request, messages.Attach | messages.Execute)
        if len(fds) > takes or (isinstance(request, messages.Attach) and not fds):
            for fd in fds:
                os.close(fd)
            raise InvalidArgument(f"{type(request).__name__} came with {len(fds)} files")
        return fds[0] if fds else None

    def _launch(self, order: SealedLaunch, _fd: int | None) -> Answer:
        if self._order is not None:
            raise Conflict("this monitor has a container already")
        self._order = order
        self._decisive = order
        self._state = states.State.CREATING
        # Begun before all else: others make it while this process does what is its own.
        self._dwelling = self._make_dwelling(order)
        os.makedirs(order.state_dir, mode=0o700, exist_ok=True)
        exit_record.clear_records(order.state_dir)
        newborn = self._dwelling.newborn if isinstance(self._dwelling, BornAhead) else 0
        self.hub.listen(os.path.join(order.state_dir, exit_record.MONITOR_SOCKET))
        record = exit_record.MonitorRecord(
            id=order.id,
            runtime=order.runtime,
            bundle=order.bundle,
            cgroups_path=outline_of(order).cgroups_path,
            monitor=exit_record.ProcessIdentity.of(os.getpid()),
            init=exit_record.ProcessIdentity.of(newborn) if newborn else None,
        )
        exit_record.write_record(order.state_dir, exit_record.MONITOR_RECORD, record)
        if newborn:
            # Who makes the container's network can begin while the rest is made.
            self.hub.broadcast(messages.Born(pid=newborn))
        if order.log is not None:
            self._log = LogSink(order.log, self._log_trouble)
        stdio = StdioRequest(terminal=order.terminal, stdin=order.stdin, window=order.window)
        program = self._dwelling.create(stdio)
        self._session = Session(
            self._loop,
            program,
            close_input=order.stdin_once,
            log=self._log,
            on_exit=self._clear_dwelling,
            on_end=self._ended,
            on_detach=lambda: self.hub.broadcast(messages.Detached()),
            on_client_gone=self._client_gone,
        )
        self._watch_memory()
        if program.pid != newborn:
            record.init = exit_record.ProcessIdentity.of(program.pid)
            exit_record.write_record(order.state_dir, exit_record.MONITOR_RECORD, record)
        self._state = states.after(self._state, states.Event.MADE)
        return Done(request=order.request, pid=program.pid)

    def _start(self, request: messages.Start, _fd: int | None) -> Answer:
        dwelling, session = self._made()
        self._check(states.Event.STARTED)
        self._decisive = request
        dwelling.start()
        self._started_at = time.time_ns()
        self._move(states.Event.STARTED)
        return Done(request=request.request, pid=session.pid)

    def _tell_after(self, request: messages.Request) -> None:
        """The fact that follows the answer."""
        if self._session is None:
            return
        if isinstance(request, SealedLaunch):
            self.hub.broadcast(messages.Created(pid=self._session.pid))
        elif isinstance(request, messages.Start):
            self.hub.broadcast(messages.Started(pid=self._session.pid, at_ns=self._started_at))
            self._settled()

    def _attach(self, request: messages.Attach, fd: int | None) -> Answer:
        assert fd is not None
        try:
            session = self._made()[1]
            if session.over:
                raise Conflict("the container has ended")
        except Conflict:
            os.close(fd)
            raise
        session.attach(fd, request)
        return Done(request=request.request)

    def _execute(self, request: messages.Execute, fd: int | None) -> Answer:
        try:
            dwelling = self._made()[0]
            self._check(states.Event.EXECUTED)
        except Conflict:
            if fd is not None:
                os.close(fd)
            raise
        return Done(request=request.request, pid=self._execs.run(dwelling, request, fd))

    def _resize(self, request: messages.Resize, _fd: int | None) -> Answer:
        self._session_of(request.exec_id).resize(request.rows, request.columns)
        return Done(request=request.request)

    def _signal(self, request: messages.Signal, _fd: int | None) -> Answer:
        dwelling = self._made()[0]
        self._check(states.Event.SIGNALLED)
        try:
            if request.all:
                dwelling.signal_all(request.number)
            else:
                self._session_of(request.exec_id).program.signal(request.number)
        except ProcessLookupError:
            raise Conflict("the process has ended") from None
        return Done(request=request.request)

    def _pause(self, request: messages.Pause, _fd: int | None) -> Answer:
        dwelling = self._made()[0]
        self._check(states.Event.PAUSED)
        dwelling.pause()
        self._move(states.Event.PAUSED)
        return Done(request=request.request)

    def _resume(self, request: messages.Resume, _fd: int | None) -> Answer:
        dwelling = self._made()[0]
        self._check(states.Event.RESUMED)
        dwelling.resume()
        self._move(states.Event.RESUMED)
        return Done(request=request.request)

    def _update(self, request: messages.Update, _fd: int | None) -> Answer:
        dwelling = self._made()[0]
        self._check(states.Event.UPDATED)
        dwelling.update(request.resources)
        return Done(request=request.request)

    def _stats(self, request: messages.Stats, _fd: int | None) -> Answer:
        stats = msgspec.json.encode(self._made()[0].stats())
        return messages.Figures(request=request.request, stats=msgspec.Raw(stats), at_ns=time.time_ns())

    def _processes(self, request: messages.Processes, _fd: int | None) -> Answer:
        dwelling = self._made()[0]
        rows = dwelling.process_rows() if isinstance(dwelling, OutOfSight) else []
        return messages.ProcessList(request=request.request, pids=dwelling.processes(), rows=rows)

    def _sync(self, request: messages.Sync, _fd: int | None) -> Answer:
        dwelling = self._made()[0]
        if isinstance(dwelling, OutOfSight):
            dwelling.sync(changed=request.changed)
        return Done(request=request.request)

    def _query(self, request: messages.Query, _fd: int | None) -> Answer:
        session = self._session
        return messages.Report(
            request=request.request,
            id=self._order.id if self._order else "",
            phase=self._state or "empty",
            pid=session.pid if session else 0,
            started_at_ns=self._started_at,
            execs=self._execs.states(),
            attached=self._attached,
            log_dropped=self._log.dropped if self._log else 0,
            oom_kills=self._count_oom_kills(),
        )

    def _reopen_log(self, request: messages.ReopenLog, _fd: int | None) -> Answer:
        if self._log is not None:
            self._log.reopen()
        return Done(request=request.request)

    _actions: ClassVar[dict[type, Callable[[Keeper, Any, int | None], Answer]]] = {
        SealedLaunch: _launch,
        messages.Start: _start,
        messages.Attach: _attach,
        messages.Execute: _execute,
        messages.Resize: _resize,
        messages.Signal: _signal,
        messages.Pause: _pause,
        messages.Resume: _resume,
        messages.Update: _update,
        messages.Stats: _stats,
        messages.Processes: _processes,
        messages.Sync: _sync,
        messages.Query: _query,
        messages.ReopenLog: _reopen_log,
    }

    # ---- the state

    def _made(self) -> tuple[Dwelling, Session]:
        if self._dwelling is None or self._session is None:
            raise Conflict("the container has not been made, or has ended")
        return self._dwelling, self._session

    def _check(self, event: states.Event) -> None:
        """Conflict unless the event is for this state."""
        if self._state is not None:
            states.after(self._state, event)

    def _move(self, event: states.Event) -> None:
        if self._state is not None:
            self._state = states.after(self._state, event)

    def _session_of(self, exec_id: str | None) -> Session:
        return self._made()[1] if exec_id is None else self._execs.session(exec_id)

    # ---- what happens

    def reap(self) -> None:
        """Collect dead children: programs, and orphans that became ours because no one else takes them."""
        while True:
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if dead is None:
                return
            session = self._execs.by_pid(dead.si_pid)
            if self._session is not None and self._session.pid == dead.si_pid:
                session = self._session
            if session is not None and session.code is None:
                session.program_ended()
            else:
                os.waitpid(dead.si_pid, 0)

    def _exec_detached(self, exec_id: str) -> None:
        self.hub.broadcast(messages.Detached(exec_id=exec_id))

    def _log_trouble(self, message: str, dropped: int) -> None:
        self.hub.broadcast(messages.LogTrouble(message=message, dropped=dropped))

    def _count_oom_kills(self) -> int:
        """The latest count; it can't be read any more once the control group is gone."""
        if self._dwelling is not None:
            try:
                kills = self._dwelling.oom_kills()
            except OSError:
                kills = self._oom_kills
            if kills > self._oom_kills:
                self._oom_kills = kills
                self.hub.broadcast(messages.OutOfMemory())
        return self._oom_kills

    def _watch_memory(self) -> None:
        dwelling: object = self._dwelling
        if isinstance(dwelling, TellsOfMemory):
            fd = dwelling.oom_event_fd()
            if fd is not None:
                self._memory = MemoryWatch(self._loop, fd, self._count_oom_kills)

    def _clear_dwelling(self) -> None:
        """The program has ended: so does everything else in the dwelling, then the dwelling."""
        self._count_oom_kills()
        if self._memory is not None:
            self._memory.close()
        dwelling, self._dwelling = self._dwelling, None
        if dwelling is not None:
            if self._order is not None and self._order.measure:
                self._measure(dwelling)
            dwelling.remove()
            if isinstance(dwelling, OutOfSight):
                self._last_words = dwelling.last_words()

    def _measure(self, dwelling: Dwelling) -> None:
        """The last figures, while the control group is still there."""
        try:
            stats = dwelling.stats()
        except OSError:
            return
        self._cpu_ns = stats.cpu.total
        self._peak_memory = stats.memory.peak

    def _ended(self, code: int) -> None:
        self._conclude(code, self._last_words)

    def _abandon(self, error: Exception) -> None:
        """The container could not be made or started: clean up, say why, end."""
        code = getattr(error, "exit_code", _COULD_NOT_START)
        session, self._session = self._session, None
        try:
            self._clear_dwelling()
        except Exception as failure:
            error.add_note(f"and cleaning up failed: {failure}")
        if session is not None:
            session.close()
        self._conclude(code, "\n".join([str(error), *getattr(error, "__notes__", [])]))

    def give_up(self, error: Exception) -> None:
        """A defect of the monitor itself: end the container, and let its record say why."""
        if self._over:
            # The end itself went wrong, as it does when the directory was removed under it: only leave.
            self.hub.leave(self._maybe_stop)
            return
        self._abandon(Internal(f"the container's monitor failed: {type(error).__name__}: {error}"))

    def _conclude(self, code: int, error: str) -> None:
        """Write the record, tell, and stay only until everybody has read everything."""
        if self._order is None or self._over:
            return
        self._over = True
        self._execs.end_all()
        if self._log is not None:
            self._log.close()
        self._move(states.Event.ENDED)
        record = exit_record.ExitRecord(
            id=self._order.id,
            code=code,
            at_ns=time.time_ns(),
            started_at_ns=self._started_at,
            oom_killed=self._oom_kills > 0,
            error=error,
            execs=self._execs.codes,
            log_dropped=self._log.dropped if self._log else 0,
        )
        # From here on the directory belongs to whoever reads the record: perhaps to the next monitor.
        self.hub.close_door()
        exit_record.write_record(self._order.state_dir, exit_record.EXIT_RECORD, record)
        event = messages.Exited(
            code=code,
            at_ns=record.at_ns,
            oom_killed=record.oom_killed,
            error=error,
            cpu_ns=self._cpu_ns,
            peak_memory=self._peak_memory,
        )
        self.hub.broadcast(event)
        self.hub.leave(self._maybe_stop)

    @property
    def _attached(self) -> int:
        return self._execs.attached + (self._session.attached if self._session else 0)

    def _client_gone(self) -> None:
        self._maybe_stop()

    def _maybe_stop(self) -> None:
        if self._over and self.hub.empty and not self._attached:
            self._loop.stop()
