"""Where an init waits for Start, and says what execve refused, when its keeper does not stay.

Two FIFOs in the container's state directory, for `lodge-runtime`: `create` ends while the init waits, and
another process comes later to start it. The init holds both ends of both FIFOs, so it waits without a keeper;
execve closes them, which the starter sees as the end of the answer. Read and written plainly, for a seccomp
filter may be at work already.
"""

from __future__ import annotations

import errno
import os
import select

from msgspec import Struct

from lodge.errors import Conflict, Internal
from lodge.runtime.process import handshake

_START = "start.fifo"
_ANSWER = "answer.fifo"


class Gate(Struct, frozen=True):
    """The init's two descriptors."""

    wait: int
    answer: int

    def close(self) -> None:
        """In the process that made it, after the init has its copies."""
        os.close(self.wait)
        os.close(self.answer)


def make_gate(directory: str) -> Gate:
    """Make the FIFOs and open them for an init that will be born."""
    for name in (_START, _ANSWER):
        os.mkfifo(f"{directory}/{name}", 0o600)
    wait = os.open(f"{directory}/{_START}", os.O_RDWR | os.O_CLOEXEC)
    return Gate(wait, os.open(f"{directory}/{_ANSWER}", os.O_RDWR | os.O_CLOEXEC))


def is_waiting(directory: str) -> bool:
    """Whether nobody has said Start yet."""
    return os.path.exists(f"{directory}/{_START}")


def pass_gate(directory: str, pidfd: int) -> None:
    """Say Start to the init that `pidfd` is, and wait until it runs its program.

    StartFailed with what execve refused; Conflict when the init has ended or was started already.
    """
    try:
        answer = os.open(f"{directory}/{_ANSWER}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _say_start(directory)
            _hear(answer, pidfd)
        finally:
            os.close(answer)
    except FileNotFoundError:
        raise Conflict("cannot start an already running container") from None


def _say_start(directory: str) -> None:
    path = f"{directory}/{_START}"
    try:
        start = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise Conflict("cannot start a container that has stopped") from None
        raise
    # Taken away first: of two starters one finds nothing.
    os.unlink(path)
    try:
        os.write(start, handshake.START)
    finally:
        os.close(start)


def _hear(answer: int, pidfd: int) -> None:
    waiter = select.poll()
    waiter.register(answer, select.POLLIN)
    waiter.register(pidfd, select.POLLIN)
    waiter.poll()
    packet = os.read(answer, handshake.MAX_TEXT * 2)
    if not packet:
        return
    message = handshake.decode(packet)
    if isinstance(message, handshake.Failed):
        handshake.raise_failed(message)
    raise Internal(f"the init said {type(message).__name__} instead of running its program")


def forget_gate(directory: str) -> None:
    """Remove the FIFOs; idempotent."""
    for name in (_START, _ANSWER):
        try:
            os.unlink(f"{directory}/{name}")
        except FileNotFoundError:
            pass
