"""How a build fails: which step, which lines, and with what exit code."""

from __future__ import annotations

from lodge.build.dockerfile.problems import Lines
from lodge.errors import LodgeError


class StepFailed(LodgeError):
    """A step could not be done. `lines` are those of `source`, the Dockerfile's text.

    `exit_code` is a program's, None where no program failed; `command` is what was executed.
    """

    def __init__(
        self,
        message: str,
        *,
        step: str,
        name: str,
        lines: Lines = (0, 0),
        command: str = "",
        exit_code: int | None = None,
        log: bytes = b"",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.step = step
        self.name = name
        self.lines = lines
        self.command = command
        self.exit_code = exit_code
        self.log = log
        self.source = ""
        self.filename = ""


class ProgramFailed(LodgeError):
    """A RUN's program ended with another code than 0."""

    def __init__(self, command: str, exit_code: int) -> None:
        super().__init__(f'process "{command}" did not complete successfully: exit code: {exit_code}')
        self.command = command
        self.exit_code = exit_code


def excerpt(source: str, lines: Lines, around: int = 2) -> str:
    """The lines of a Dockerfile that failed, numbered and marked, with their neighbours."""
    every = source.splitlines()
    first, last = lines
    if not 0 < first <= len(every):
        return ""
    begin, end = max(1, first - around), min(len(every), last + around)
    rows = []
    for number in range(begin, end + 1):
        mark = ">>>" if first <= number <= last else "   "
        rows.append(f"{number:4} | {mark} {every[number - 1]}".rstrip())
    return "\n".join(rows)


BuildFailed = StepFailed
"""What the library's users call it."""
