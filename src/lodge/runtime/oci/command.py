"""Running the commands of an OCI runtime, and understanding how they fail.

The command line is runc's (crun takes the same): `RUNTIME [global flags] COMMAND [flags] ID`. Failures come
as JSON lines in a log file.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from lodge.errors import StartFailed, Unsupported

_NOT_FOUND = 127
_NOT_EXECUTABLE = 126
_FAILED = 128
_LARGEST_LOG = 1 << 20
# What Docker reads from a runtime's words.
_CAUSES = (
    (re.compile(r"not found|no such file or directory|cannot find the file", re.IGNORECASE), _NOT_FOUND),
    (re.compile(r"permission denied|is a directory|exec format error", re.IGNORECASE), _NOT_EXECUTABLE),
)
# What comes before the cause: the runtimes' own view of where they were.
_FRAMES = re.compile(
    r"^(runc \w+ failed: |exec failed: |unable to start container process: |error during container init: )+"
)
# A JSON object without others in it: runc writes one a line, crun one over several.
_OBJECT = re.compile(rb'\{(?:[^{}"]|"(?:[^"\\]|\\.)*")*\}')


class _Line(Struct):
    level: str = ""
    msg: str = ""


_decoder = msgspec.json.Decoder(_Line)


class Runtime:
    """One external runtime, with a directory for its state of one container."""

    def __init__(self, program: str, arguments: Sequence[str], directory: str) -> None:
        self._program = program
        self._arguments = tuple(arguments)
        self._directory = directory
        self._log = os.path.join(directory, "log.json")

    def run(self, command: str, *words: str, stdio: Sequence[int] | None = None) -> None:
        """Run a command to its end; StartFailed with the runtime's own words when it fails.

        `stdio` are its descriptors 0 to 2, which a container that it makes inherits; else they are /dev/null.
        """
        self._forget_log()
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            status = self._run((command, *words), stdio or (null, null, null))
        finally:
            os.close(null)
        if status:
            raise self._failure(command, status)

    def _run(self, words: Sequence[str], stdio: Sequence[int]) -> int:
        flags = ["--root", self._directory, "--log", self._log, "--log-format", "json"]
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(stdio)]
        try:
            pid = os.posix_spawn(
                self._program,
                [self._program, *self._arguments, *flags, *words],
                os.environ,
                file_actions=actions,
                setsigmask=[],
                setsigdef=_resettable(),
            )
        except OSError as error:
            raise Unsupported(f"the runtime {self._program} can't be executed: {error.strerror}") from error
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _forget_log(self) -> None:
        try:
            os.unlink(self._log)
        except FileNotFoundError:
            pass

    def _failure(self, command: str, status: int) -> StartFailed:
        said = self._last_words() or f"{os.path.basename(self._program)} {command} failed with code {status}"
        code = next((code for cause, code in _CAUSES if cause.search(said)), _FAILED)
        return StartFailed(_FRAMES.sub("", said), exit_code=code)

    def _last_words(self) -> str:
        try:
            with open(self._log, "rb") as file:
                return last_error(file.read(_LARGEST_LOG))
        except FileNotFoundError:
            return ""


def last_error(log: bytes) -> str:
    """The last message of an error in a runtime's log, "" when there is none."""
    words = ""
    for found in _OBJECT.finditer(log):
        try:
            line = _decoder.decode(found[0])
        except msgspec.DecodeError:
            continue
        if line.level in ("error", "fatal") and line.msg:
            words = line.msg
    return words


def _resettable() -> list[signal.Signals]:
    """All signals that can be set back to what they do by default: a monitor ignores some."""
    fixed = (signal.SIGKILL, signal.SIGSTOP)
    return [number for number in signal.Signals if number not in fixed]
