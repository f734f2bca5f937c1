"""Process 1 on behalf of a program that does not want to be it: docker run --init.

The init does not become the program but starts it as its child, passes signals on to it, collects orphans,
and ends as it ended. It has the program's own rights and filter by then, and nothing of the host open.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import NoReturn

from lodge.kernel.process import close_range, set_title

# Those that the kernel sends a process for its own faults are not for the program.
_OWN = {signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGTRAP}


def split(preserve: int, arguments: Sequence[str]) -> None:
    """Return in a child that is to become the program; the caller itself reaps until that has ended.

    `arguments` are the program's, which ps shows behind those of the init.
    """
    everything = signal.valid_signals() - _OWN
    signal.pthread_sigmask(signal.SIG_SETMASK, everything)
    # SAFETY: the init has one thread; the parent's side never returns.
    child = os.fork()
    if child:
        # The keeper waits for the end of its socket, which the child's execve brings.
        close_range(3 + preserve)
        set_title(["/sbin/docker-init", "--", *arguments])
        _reap(child, everything)
    _lead_terminal()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _lead_terminal() -> None:
    """A process group of the program's own, in the foreground of its terminal, if it has one."""
    os.setpgid(0, 0)
    try:
        # SIGTTOU is still blocked: a process in the background may not do this otherwise.
        os.tcsetpgrp(0, os.getpgrp())
    except OSError:
        pass


def _reap(child: int, signals: set[signal.Signals]) -> NoReturn:
    while True:
        number = signal.sigwait(signals)
        if number != signal.SIGCHLD:
            try:
                os.kill(child, number)
            except OSError:
                pass  # it has ended: SIGCHLD comes next
            continue
        while (ended := _collect())[0]:
            pid, code = ended
            if pid == child:
                os._exit(code if code >= 0 else 128 - code)


def _collect() -> tuple[int, int]:
    """One child that has ended, (0, 0) when there is none now."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0, 0
    return (pid, os.waitstatus_to_exitcode(status)) if pid else (0, 0)
