r"""What a dwelling gives to its keeper: the contract of every wing of the runtime.

Vocabulary
    dwelling   where one container lives, from its creation to its removal: namespaces, mounts, a control
               group. The wing `process` makes it on the host's kernel; `oci` drives a runc or crun.
    keeper     the process that holds a dwelling: a monitor, or the command `lodge-runtime`. It is
               single-threaded.
    program    one process that the keeper started in the dwelling: the init, or an exec.
    streams    the keeper's ends of a program's standard streams, or of its terminal.

Life cycle
    create()   once. Everything is made, the init stands right before the execve of its program. -> Program
    start()    once, after create. The init becomes the program; the error of a failed execve comes back here.
    execute()  any number of times, while the init lives (also before start). -> Program
    pause(), resume(), update(), stats(), processes(), signal_all(), oom_kills()
               after create, until the init has ended; OSError or NotFound when nothing is left to act on.
    remove()   at any time, any number of times. Ends what is still alive, removes control group and rest.

An example:
    program = dwelling.create(StdioRequest(stdin=True))
    dwelling.start()
    os.write(program.streams.stdin, b"hello\n")
    poll.register(program.fileno(), POLLIN)        # readable when the program has ended
    code = program.reap()
    dwelling.remove()

Every call blocks until it is done; none takes long, except for hooks. A failed call leaves the dwelling as it
was; a failed `create` has cleaned up after itself, and the dwelling can be forgotten. Errors are the kinds of
`lodge.errors`: StartFailed with the exit code that a shell would give, InvalidArgument for a config that can
never work, Unsupported for one that this host can't serve, Conflict for a call at the wrong time.
"""

from __future__ import annotations

import os
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from lodge.spec.runtime import Process, Resources


class Streams(Struct):
    """The keeper's ends, owned by it: it closes them. None where there is none.

    Without a terminal: pipes, of which `stdin` is for writing, `stdout` and `stderr` for reading. With one:
    only `terminal`, the master.
    """

    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None
    terminal: int | None = None

    def close(self) -> None:
        """Close what is still here; idempotent."""
        for name in ("stdin", "stdout", "stderr", "terminal"):
            fd = getattr(self, name)
            if fd is not None:
                setattr(self, name, None)
                os.close(fd)


class StdioRequest(Struct, frozen=True):
    """What a program's standard streams shall be.

    `terminal` gives it a terminal of `window` (rows, columns). Without one it gets pipes, and /dev/null as
    standard input unless `stdin`. `inherit` are three descriptors of the keeper to use as 0, 1 and 2 as they
    are; the keeper keeps its own copies and gets empty `Streams`. `preserve` is the number of further
    descriptors, from 3 on, that the program shall keep.
    """

    terminal: bool = False
    stdin: bool = False
    window: tuple[int, int] | None = None
    inherit: tuple[int, int, int] | None = None
    preserve: int = 0


class Program(Protocol):
    """A process that the keeper started. `pid` is as the keeper sees it, valid until `reap` has returned."""

    pid: int
    streams: Streams

    def fileno(self) -> int:
        """A descriptor that is readable once the program has ended."""

    def reap(self) -> int:
        """Wait for the end; the exit code, 128 + n for signal n. Idempotent."""

    def signal(self, number: int) -> None:
        """Send a signal, never to a process that took over the pid; ProcessLookupError when it has ended."""

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal; Conflict when it has none."""

    def close(self) -> None:
        """Give the descriptors back (not the streams); the program lives on. Idempotent."""


@runtime_checkable
class OutOfSight(Protocol):
    """What a dwelling adds whose processes and files the host does not see as they are."""

    def process_rows(self) -> list[list[str]]:
        """Its processes, as the columns of ps -ef."""

    def last_words(self) -> str:
        """Why it ended, when it ended by itself and not because its program did; "" else."""

    def sync(self, *, changed: bool) -> None:
        """Bring the files on the host up to date; `changed`: forget what is known of them."""


class Dwelling(Protocol):
    """One container, as its keeper holds it: see the life cycle above."""

    def create(self, stdio: StdioRequest) -> Program:
        """Make everything up to right before the execve of the program."""

    def start(self) -> None:
        """Let the init become the program. StartFailed carries why execve refused it (126, 127)."""

    def execute(self, process: Process, stdio: StdioRequest, extras: Any = None) -> Program:
        """Start a further program; returns when it runs. StartFailed as `start`; Conflict while paused.

        `extras` is the wing's own addition to an OCI process (`process.extras.Extras`), None for none.
        """

    def signal_all(self, number: int) -> None:
        """Send a signal to every process; with SIGKILL nothing survives, forks in flight included."""

    def pause(self) -> None:
        """Freeze every process."""

    def resume(self) -> None:
        """Let them run on."""

    def update(self, resources: Resources) -> None:
        """Change the limits that are given, keep the rest."""

    def stats(self) -> Any:
        """What the control group counts: a Struct (`kernel.cgroups.CgroupStats`)."""

    def processes(self) -> list[int]:
        """The pids of all processes, as the keeper sees them."""

    def oom_kills(self) -> int:
        """How many processes the kernel killed for want of memory so far."""

    def remove(self) -> None:
        """Leave nothing behind, then run the poststop hooks. Idempotent; what is gone already is no error."""
