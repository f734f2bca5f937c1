"""What running a program gives back."""

from __future__ import annotations

from msgspec import Struct

from lodge.errors import LodgeError, TimedOut


class Resources(Struct, frozen=True, kw_only=True):
    """What a program and its children used: seconds of processor time, and bytes of memory at most."""

    cpu_seconds: float = 0.0
    peak_memory: int = 0


class RunResult(Struct, frozen=True, kw_only=True):
    """How a program ended. `stdout` and `stderr` are bytes as they came; `duration` is in seconds.

    With a terminal both streams are one, in `stdout`.
    """

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""
    duration: float = 0.0
    resources: Resources = Resources()

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are no UTF-8 are replaced."""
        return self.stdout.decode(errors="replace")

    def check(self) -> RunResult:
        """Itself when the exit code is 0; ProgramFailed otherwise."""
        if self.exit_code:
            raise ProgramFailed(self)
        return self


class ProgramFailed(LodgeError):
    """A program ended with an exit code other than 0; `result` says all about it."""

    def __init__(self, result: RunResult) -> None:
        last = result.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        super().__init__(
            f"the program ended with exit code {result.exit_code}" + (f": {last}" if last else "")
        )
        self.result = result


class RunTimedOut(TimedOut):
    """A program was ended because its time was over; `result` holds its output so far."""

    def __init__(self, timeout: float, result: RunResult) -> None:
        super().__init__(f"the program was ended after {timeout:g} seconds")
        self.result = result
