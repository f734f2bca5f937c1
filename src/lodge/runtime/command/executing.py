"""exec: a further program in a container, from a file or from flags over the container's own process."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from lodge.errors import InvalidArgument, StartFailed
from lodge.kernel.capabilities import NUMBERS
from lodge.runtime.command import terminals
from lodge.runtime.command.container import Container, Context
from lodge.runtime.command.flags import Parsed, flag, parse
from lodge.runtime.command.lifecycle import hand_over, streams_of
from lodge.runtime.command.seal import ensure_sealed
from lodge.runtime.states import Event
from lodge.spec.runtime import CapabilitySets, Process, User, decode_process

_EXEC = (
    flag("console-socket", "unix socket that gets the terminal's master"),
    flag("pidfd-socket", "unix socket that gets a pidfd of the program"),
    flag("cwd", "working directory"),
    flag("env e", "environment variable NAME=value", many=True),
    flag("tty t", "give it a terminal", switch=True),
    flag("user u", "uid or uid:gid"),
    flag("additional-gids g", "further group", many=True),
    flag("process p", "file with the process as JSON"),
    flag("detach d", "don't wait for the end", switch=True),
    flag("pid-file", "file for the program's pid"),
    flag("process-label", "SELinux label"),
    flag("apparmor", "AppArmor profile"),
    flag("no-new-privs", "set no_new_privs", switch=True),
    flag("cap c", "capability to add", many=True),
    flag("preserve-fds", "number of descriptors from 3 on that the program keeps", default="0"),
    flag("ignore-paused", "wait until a paused container runs on", switch=True),
)


def exec_(context: Context, line: Sequence[str]) -> int:
    """Run a program beside the init; its exit code, or 0 once it runs with --detach."""
    flags = parse(line, _EXEC)
    if not flags.words:
        raise InvalidArgument("exec needs a container")
    container = Container.find(context, flags.words[0])
    ensure_sealed()
    container.require(Event.EXECUTED)
    process = _process(container, flags)
    detached = flags.on("detach")
    stdio = streams_of(flags, process.terminal, detached=detached)
    pidfd = container.open_init()
    try:
        program = container.dwelling().execute_beside(pidfd, process, stdio)
    except StartFailed as error:
        error.message = f"exec failed: unable to start container process: {error.message}"
        raise
    finally:
        os.close(pidfd)
    try:
        hand_over(program, flags)
        if detached:
            return 0
        with terminals.session(program, detached=False) as session:
            return session.wait()
    finally:
        program.close()
        program.streams.close()


def _process(container: Container, flags: Parsed) -> Process:
    if flags.text("process"):
        with open(flags.text("process"), "rb") as file:
            try:
                return decode_process(file.read())
            except msgspec.MsgspecError as error:
                raise InvalidArgument(f"{flags.text('process')}: {error}") from None
    own = container.config.process
    if own is None or len(flags.words) < 2:
        raise InvalidArgument("exec needs a program, or a process in a file")
    changes: dict[str, object] = {
        "args": flags.words[1:],
        "terminal": flags.on("tty"),
        "env": [*own.env, *flags.all("env")],
    }
    if flags.text("cwd"):
        changes["cwd"] = flags.text("cwd")
    if flags.text("apparmor"):
        changes["apparmor_profile"] = flags.text("apparmor")
    if flags.text("process-label"):
        changes["selinux_label"] = flags.text("process-label")
    if flags.given("no-new-privs"):
        changes["no_new_privileges"] = flags.on("no-new-privs")
    changes["user"] = _user(own.user, flags)
    if flags.all("cap"):
        changes["capabilities"] = _capabilities(own.capabilities, flags.all("cap"))
    return msgspec.structs.replace(own, **changes)


def _user(own: User, flags: Parsed) -> User:
    uid, gid = own.uid, own.gid
    if flags.text("user"):
        first, colon, second = flags.text("user").partition(":")
        uid = _number(first, "uid")
        gid = _number(second, "gid") if colon else gid
    groups = [*own.additional_gids, *(_number(text, "gid") for text in flags.all("additional-gids"))]
    return msgspec.structs.replace(own, uid=uid, gid=gid, additional_gids=groups)


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) >= 1 << 32:
        raise InvalidArgument(f"parsing {text!r} as int for {what} failed")
    return int(text)


def _capabilities(own: CapabilitySets | None, added: list[str]) -> CapabilitySets:
    own = own or CapabilitySets()
    names = []
    for text in added:
        name = text.upper() if text.upper().startswith("CAP_") else f"CAP_{text.upper()}"
        if name not in NUMBERS:
            raise InvalidArgument(f"unknown capability {text!r}")
        names.append(name)

    def with_added(old: list[str]) -> list[str]:
        return list(dict.fromkeys([*old, *names]))

    # As runc: a capability that is added becomes ambient only where something else is inheritable already.
    return CapabilitySets(
        effective=with_added(own.effective),
        bounding=with_added(own.bounding),
        permitted=with_added(own.permitted),
        inheritable=with_added(own.inheritable) if own.inheritable else [],
        ambient=with_added(own.ambient) if own.ambient else [],
    )
