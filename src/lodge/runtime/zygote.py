"""The zygote: a small process that forks monitors and file workers in about a millisecond.

It is executed, not forked, by an engine (see `launcher`), has one thread, imports everything before its first
fork and never anything after. Its control socket brings one byte a job (`MONITOR` or `FILES`) and with it the
socket of the new process. One child is always forked ahead and waits on the control socket itself, so that a
job wakes it directly; the zygote then forks the next. It ends when the engine closes the control socket;
monitors go on.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time
from typing import NoReturn

import msgspec

from lodge.kernel import sockets
from lodge.kernel.process import close_range, set_pdeathsig, set_title
from lodge.runtime.files.worker import become_worker
from lodge.runtime.jobs import CONTROL_FD, FILES, MONITOR, READY, Settings
from lodge.runtime.monitor.birth import Birth, ignore_signals
from lodge.runtime.monitor.wings import Wings
from lodge.runtime.rehearsal import rehearse

# A child that could not be forked, or died while it waited: try again, but not in a frenzy.
_PAUSE = 0.05
# The new process has the processors for itself until its program runs, but for so long at most (ms), and
# only while no other job is there.
_COURTESY = 100


def main() -> None:
    """Serve until the control socket is closed; argv[1] holds the settings."""
    # SAFETY: nothing of ours is open yet; what a careless parent left open shall not live on in containers.
    close_range(CONTROL_FD + 1)
    control = socket.socket(fileno=CONTROL_FD)
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    set_title(["lodge-zygote", settings.exec_root])
    ignore_signals()
    wings = Wings(settings)
    rehearse(os.path.join(settings.exec_root, f"rehearsal-{os.getpid()}"), wings)
    # From here on the kernel collects the children.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # What lives now lives for ever: the collector of a child shall not write to these shared pages.
    gc.collect()
    gc.freeze()
    control.send(READY)
    _serve(control, wings)


def _serve(control: socket.socket, wings: Wings) -> None:
    while True:
        taken, child_end = os.pipe2(os.O_CLOEXEC)
        try:
            # SAFETY: this process has one thread.
            pid = os.fork()
        except OSError:
            pid = -1
        if pid == 0:
            os.close(taken)
            _wait_and_work(control, child_end, wings)
        os.close(child_end)
        if not _await_taken(control, taken):
            return


def _await_taken(control: socket.socket, taken: int) -> bool:
    """Wait until the waiting child has a job (or died); False when the engine is gone."""
    try:
        poll = select.poll()
        poll.register(control, 0)
        poll.register(taken, select.POLLIN)
        for fd, _ in poll.poll():
            if fd == control.fileno():
                return False
        if os.read(taken, 1):
            select.select([control.fileno(), taken], [], [], _COURTESY / 1000)
        else:
            time.sleep(_PAUSE)
        return True
    finally:
        os.close(taken)


def _wait_and_work(control: socket.socket, taken: int, wings: Wings) -> NoReturn:
    """The child forked ahead: wait for a job, tell the zygote, do it."""
    try:
        parent = os.getppid()
        set_pdeathsig(signal.SIGKILL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

        def leave() -> None:
            control.close()
            os.close(taken)

        cell = wings.cell(leave)
        birth = Birth(lambda order: wings.dwelling(order, cell), lambda: os.close(taken))
        job, fds = sockets.receive(control, 1, 4)
        if not job or os.getppid() != parent:
            os._exit(0)
        os.write(taken, b"t")
        control.close()
        _work(job, fds, birth, taken)
    except Exception:
        # For whoever reads the daemon's standard error; a monitor has none any more.
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)


def _work(job: bytes, fds: list[int], birth: Birth, taken: int) -> None:
    if len(fds) != 1:
        return
    sock = socket.socket(fileno=fds[0])
    if job == MONITOR:
        birth.become_monitor(sock)
    if job == FILES:
        # Jobs of this kind come in rows: the next child shall be forked now.
        os.close(taken)
        # The cell that nobody needs ends with this process; to end it first would take time.
        become_worker(sock)
