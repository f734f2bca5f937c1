"""The further programs of a container: each one a session, its exit code kept until the monitor ends."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable

from lodge.errors import Conflict, LodgeError, NotFound, StartFailed
from lodge.runtime.contract import Dwelling, StdioRequest
from lodge.runtime.messages import Event, ExecExited, ExecStarted, ExecState, Execute
from lodge.runtime.monitor.loop import Loop
from lodge.runtime.monitor.order import decode_extras
from lodge.runtime.monitor.session import Session
from lodge.spec import streams

_KILLED = 128 + signal.SIGKILL


class Execs:
    """`tell` sends an event to the engines, `on_detach(exec_id)` and `on_client_gone` as in a session."""

    def __init__(
        self,
        loop: Loop,
        tell: Callable[[Event], None],
        on_detach: Callable[[str], None],
        on_client_gone: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._tell = tell
        self._on_detach = on_detach
        self._on_client_gone = on_client_gone
        self._running: dict[str, Session] = {}
        self._ending: set[Session] = set()
        self.codes: dict[str, int] = {}

    def run(self, dwelling: Dwelling, wish: Execute, fd: int | None) -> int:
        """Start one; its pid. With an fd its streams go there, without they go nowhere."""
        exec_id = wish.exec_id
        if exec_id in self._running or exec_id in self.codes:
            raise Conflict(f"exec {exec_id} has been started already")
        try:
            session = self._start(dwelling, wish, fd is not None)
        except Exception as error:
            self.codes[exec_id] = error.exit_code if isinstance(error, StartFailed) else 126
            refused = _docker_text(error)
            self._tell(ExecExited(exec_id=exec_id, code=self.codes[exec_id]))
            if fd is not None:
                _say_farewell(fd, wish, refused)
            if isinstance(error, StartFailed):
                raise StartFailed(refused, exit_code=error.exit_code, hint=error.hint) from error
            raise
        self._running[exec_id] = session
        self._tell(ExecStarted(exec_id=exec_id, pid=session.pid))
        if fd is not None:
            session.attach(fd, wish)
        return session.pid

    def _start(self, dwelling: Dwelling, wish: Execute, attached: bool) -> Session:
        extras = decode_extras(wish.extras)
        if attached or wish.terminal:
            stdio = StdioRequest(terminal=wish.terminal, stdin=wish.stdin, window=wish.window)
            program = dwelling.execute(wish.process, stdio, extras)
        else:
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            try:
                program = dwelling.execute(wish.process, StdioRequest(inherit=(null, null, null)), extras)
            finally:
                os.close(null)
        exec_id = wish.exec_id
        return Session(
            self._loop,
            program,
            close_input=True,
            on_end=lambda code: self._ended(exec_id, code),
            on_detach=lambda: self._on_detach(exec_id),
            on_client_gone=self._on_client_gone,
        )

    def _ended(self, exec_id: str, code: int) -> None:
        self.codes[exec_id] = code
        session = self._running.pop(exec_id)
        if session.attached:
            self._ending.add(session)
        self._tell(ExecExited(exec_id=exec_id, code=code))

    def session(self, exec_id: str) -> Session:
        """The session of one that runs; Conflict when it has ended, NotFound when it never was."""
        if exec_id in self._running:
            return self._running[exec_id]
        if exec_id in self.codes:
            raise Conflict(f"exec {exec_id} has ended")
        raise NotFound(f"no such exec: {exec_id}")

    def by_pid(self, pid: int) -> Session | None:
        """The session whose program has this pid."""
        return next((session for session in self._running.values() if session.pid == pid), None)

    @property
    def attached(self) -> int:
        """How many clients there are in all sessions, those included that still read the last output."""
        self._ending = {session for session in self._ending if session.attached}
        return sum(session.attached for session in (*self._running.values(), *self._ending))

    def states(self) -> list[ExecState]:
        """All execs, running and ended."""
        running = [ExecState(exec_id=name, pid=session.pid) for name, session in self._running.items()]
        return running + [ExecState(exec_id=name, code=code) for name, code in self.codes.items()]

    def end_all(self) -> None:
        """The dwelling is gone, so they all are: reap each, without waiting for one that can't die."""
        for exec_id, session in list(self._running.items()):
            if select.select([session.program], [], [], 0.1)[0]:
                session.program_ended()
                session.end_now()
            else:
                session.close()
                self._ended(exec_id, _KILLED)


def _docker_text(error: Exception) -> str:
    """The words that Docker's clients know for an exec that could not be started."""
    text = error.message if isinstance(error, LodgeError) else str(error)
    if isinstance(error, StartFailed) and not text.startswith("OCI runtime"):
        return f"OCI runtime exec failed: exec failed: unable to start container process: {text}"
    return text


def _say_farewell(fd: int, wish: Execute, text: str) -> None:
    """Write the reason where the output would have gone, standard output as Docker has it, and close."""
    line = text.encode() + b"\r\n"
    with socket.socket(fileno=fd) as client:
        client.setblocking(False)
        try:
            client.send(streams.frame(streams.STDOUT, line) if wish.framed else line, socket.MSG_NOSIGNAL)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            # It is gone, or takes nothing: the engine has the answer anyway.
            pass
