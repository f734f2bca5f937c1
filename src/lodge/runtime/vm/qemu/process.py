"""QEMU as a child of the keeper: started in a cage, its control socket, its end."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence

from lodge.errors import Unavailable
from lodge.kernel.namespaces import clone3
from lodge.kernel.process import close_range, set_pdeathsig

_FAILED = 126


def start(
    words: Sequence[str],
    fds: Sequence[int],
    stderr: int,
    namespaces: int,
    enter_cage: Callable[[], None],
) -> tuple[int, int]:
    """Fork into new namespaces and execute; pid and pidfd.

    `fds` are kept under their own numbers, all else is closed. `enter_cage` is called in the child before the
    execve: what it may see, its user.
    """
    parent = os.getpid()
    # SAFETY: the keeper has one thread; the child executes or ends.
    pid, pidfd = clone3(namespaces)
    if pid:
        return pid, pidfd
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(stderr, 1)
        os.dup2(stderr, 2)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        enter_cage()
        # After the change of user, which clears it.
        set_pdeathsig(signal.SIGKILL)
        if os.getppid() not in (parent, 0):
            os._exit(_FAILED)
        keep_only(fds)
        os.execve(words[0], list(words), {"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    except BaseException as error:
        os.write(2, f"the hypervisor could not be executed: {error}\n".encode())
    finally:
        os._exit(_FAILED)


def keep_only(fds: Sequence[int]) -> None:
    """Close every descriptor but the standard streams and these, which a following execve shall not close."""
    first = 3
    for fd in sorted(set(fds)):
        if fd > first:
            close_range(first, fd - 1)
        os.set_inheritable(fd, True)
        first = fd + 1
    close_range(first)


def find_program(machine: str) -> str:
    """The path of QEMU for a processor's kind; Unavailable names the package."""
    name = f"qemu-system-{machine}"
    for directory in ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin", "/usr/libexec"):
        path = f"{directory}/{name}"
        if os.access(path, os.X_OK):
            return path
    raise Unavailable(
        f"virtual machines need {name}, which is not installed",
        hint="apt-get install --no-install-recommends qemu-system-x86",
    )


def pair() -> tuple[socket.socket, socket.socket]:
    """A connected pair of stream sockets."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
