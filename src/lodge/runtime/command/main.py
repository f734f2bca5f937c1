"""The entry of `lodge-runtime`: global flags, the table of verbs, errors as their callers expect them.

An error goes to standard error as a line, and to --log in the format that was asked for, in the words of
runc: containerd reads the last line of that log. Exit codes: 1 for an error, else what the verb says.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

import msgspec

from lodge.errors import InvalidArgument, LodgeError, Unsupported
from lodge.runtime.command.container import Context
from lodge.runtime.command.flags import Parsed, flag, parse, usage
from lodge.spec.runtime import OCI_VERSION

_GLOBAL = (
    flag("root", "directory of the records", default="/run/lodge-runtime"),
    flag("log", "file for errors, standard error when empty"),
    flag("log-format", "text or json", default="text"),
    flag("debug", "tell more when something fails", switch=True),
    flag("systemd-cgroup", "refused: control groups are made directly", switch=True),
    flag("rootless", "true, false or auto", default="auto"),
    flag("criu", "ignored, checkpoints are not offered"),
    flag("help h", "show this", switch=True),
    flag("version v", "show the version", switch=True),
)

# verb: (module, what it does)
_VERBS = {
    "create": ("lifecycle", "make a container from a bundle"),
    "start": ("lifecycle", "run the program of a created container"),
    "run": ("lifecycle", "create, start, and wait unless --detach"),
    "kill": ("lifecycle", "send a signal to a container's init"),
    "delete": ("lifecycle", "remove a container that has stopped"),
    "exec": ("executing", "run a further program in a container"),
    "pause": ("changes", "freeze all processes of a container"),
    "resume": ("changes", "let them run on"),
    "update": ("changes", "change a container's limits"),
    "state": ("reports", "show the state of a container"),
    "list": ("reports", "show all containers"),
    "ps": ("reports", "show the processes of a container"),
    "events": ("reports", "show figures and out-of-memory events"),
    "spec": ("documents", "write a config to start from"),
    "features": ("documents", "show what this runtime can do"),
}

# Where the verb's name is taken by Python.
_FUNCTIONS = {"exec": "exec_", "list": "list_"}

Verb = Callable[[Context, Sequence[str]], int]


def main(line: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name); returns the exit code."""
    line = list(sys.argv[1:] if line is None else line)
    log, log_format = "", "text"
    try:
        flags = parse(line, _GLOBAL)
        log, log_format = flags.text("log"), flags.text("log-format")
        return _run(flags)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if "--debug" in line and not isinstance(error, LodgeError):
            raise
        _report(error, log, log_format)
        return 1


def _run(flags: Parsed) -> int:
    if flags.on("version"):
        print(_version())
        return 0
    if flags.on("help") or not flags.words:
        print(_help())
        return 0
    if flags.text("log-format") not in ("text", "json"):
        raise InvalidArgument(f"invalid log-format {flags.text('log-format')!r}")
    if flags.on("systemd-cgroup"):
        raise Unsupported(
            "--systemd-cgroup: control groups are made directly, not by systemd",
            hint="configure the engine for the cgroup driver cgroupfs",
        )
    verb, *rest = flags.words
    if verb in ("checkpoint", "restore"):
        raise Unsupported(f"{verb}: checkpoints are not offered")
    if verb not in _VERBS:
        raise InvalidArgument(f"no such command: {verb}")
    module = import_module(f"lodge.runtime.command.{_VERBS[verb][0]}")
    run: Verb = getattr(module, _FUNCTIONS.get(verb, verb))
    return run(Context(flags.text("root"), debug=flags.on("debug")), rest)


def _report(error: Exception, log: str, log_format: str) -> None:
    message = str(error) or type(error).__name__
    for note in getattr(error, "__notes__", ()):
        message += f" ({note})"
    hint = getattr(error, "hint", None)
    print(f"lodge-runtime: {message}" + (f" ({hint})" if hint else ""), file=sys.stderr)
    if not log:
        return
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if log_format == "json":
        text = msgspec.json.encode({"level": "error", "msg": message, "time": now})
    else:
        text = f'time="{now}" level=error msg={msgspec.json.encode(message).decode()}'.encode()
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    os.write(fd, text + b"\n")
    os.close(fd)


def _version() -> str:
    from importlib.metadata import version

    return f"lodge-runtime version {version('lodge-engine')}\nspec: {OCI_VERSION}"


def _help() -> str:
    verbs = "\n".join(f"   {verb:<10} {text}" for verb, (_, text) in _VERBS.items())
    head = "lodge-runtime [global flags] VERB [flags] [words]"
    return f"{head}\n\nVerbs:\n{verbs}\n\nGlobal flags:\n{usage(_GLOBAL)}"
