"""Finding the program: the search of a shell along PATH, and what is said when nothing is found.

Runs inside the container, as the user that the program will have. The texts are those of runc (Go's os/exec),
for clients look for them: 127 when there is no such command, 126 when it can't be executed.
"""

from __future__ import annotations

import errno
import os
import stat

from lodge.errors import StartFailed

_NOT_FOUND = 127
_NOT_EXECUTABLE = 126


def find_executable(name: str, search: str) -> str:
    """The path to execute for `name`, given the value of PATH; StartFailed 127 or 126 when there is none."""
    if not name:
        raise StartFailed('exec: "": executable file not found in $PATH', exit_code=_NOT_FOUND)
    if "/" in name:
        _check(name)
        return name
    for directory in search.split(":"):
        candidate = f"{directory or '.'}/{name}"
        if directory.startswith("/") and _is_executable(candidate):
            return candidate
    raise StartFailed(f'exec: "{name}": executable file not found in $PATH', exit_code=_NOT_FOUND)


def exec_failed(path: str, error: OSError) -> StartFailed:
    """What execve(2) said; a missing interpreter looks like a missing program, and is one to a shell."""
    reason = (error.strerror or "unknown error").lower()
    code = _NOT_FOUND if error.errno == errno.ENOENT else _NOT_EXECUTABLE
    hint = None
    if error.errno == errno.ENOEXEC:
        hint = "the file is neither a program for this machine nor a script that begins with #!"
    elif error.errno == errno.ENOENT:
        hint = "the program's interpreter (its #! line or its dynamic loader) is missing in the image"
    return StartFailed(f"exec {path}: {reason}", exit_code=code, hint=hint)


def _check(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        code = _NOT_FOUND if error.errno == errno.ENOENT else _NOT_EXECUTABLE
        raise StartFailed(f'exec: "{path}": stat {path}: {reason}', exit_code=code) from None
    if stat.S_ISDIR(mode):
        raise StartFailed(f'exec: "{path}": is a directory: permission denied', exit_code=_NOT_EXECUTABLE)
    if not os.access(path, os.X_OK, effective_ids=True):
        raise StartFailed(f'exec: "{path}": permission denied', exit_code=_NOT_EXECUTABLE)


def _is_executable(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISDIR(mode) and os.access(path, os.X_OK, effective_ids=True)
