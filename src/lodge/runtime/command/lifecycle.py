"""create, start, run, kill, delete: a container from its bundle to its end."""

from __future__ import annotations

import datetime
import os
import pwd
import signal
from collections.abc import Sequence

from lodge.errors import Conflict, InvalidArgument, NotFound, StartFailed
from lodge.kernel.process import pidfd_send_signal, signal_number
from lodge.runtime.command import terminals
from lodge.runtime.command.container import Container, Context, load_bundle, make_dwelling
from lodge.runtime.command.flags import Parsed, flag, parse
from lodge.runtime.command.seal import ensure_sealed
from lodge.runtime.contract import StdioRequest
from lodge.runtime.process.control_group import cgroup_path, clear_cgroup
from lodge.runtime.process.gate import make_gate, pass_gate
from lodge.runtime.program import ChildProgram
from lodge.runtime.records import Record, start_time
from lodge.runtime.states import State
from lodge.spec.runtime import RuntimeConfig

_MAKE = (
    flag("bundle b", "directory of config.json, the current one when empty"),
    flag("console-socket", "unix socket that gets the terminal's master"),
    flag("pid-file", "file for the init's pid"),
    flag("pidfd-socket", "unix socket that gets a pidfd of the init"),
    flag("no-pivot", "move the root instead of pivot_root, for a ramdisk", switch=True),
    flag("no-new-keyring", "keep the session keyring", switch=True),
    flag("preserve-fds", "number of descriptors from 3 on that the program keeps", default="0"),
)
_RUN = (
    *_MAKE,
    flag("detach d", "don't wait for the end", switch=True),
    flag("keep", "don't delete the container at its end", switch=True),
    flag("no-subreaper", "don't adopt orphans of the container", switch=True),
)
_KILL = (flag("all a", "signal every process", switch=True),)
_DELETE = (flag("force f", "end it first; no error when there is none", switch=True),)
_KILL_SECONDS = 10.0


def create(context: Context, line: Sequence[str]) -> int:
    """Make everything, leave an init that waits for `start`."""
    flags = parse(line, _MAKE)
    identity = one_identity(flags)
    ensure_sealed()
    _create(context, identity, flags, detached=True).close()
    return 0


def start(context: Context, line: Sequence[str]) -> int:
    """Let the init become its program; what execve refuses is this command's error."""
    container = Container.find(context, one_identity(parse(line, ())))
    state = container.state()
    if state is State.STOPPED:
        raise Conflict("cannot start a container that has stopped")
    if state is not State.CREATED:
        raise Conflict("cannot start an already running container")
    pidfd = container.open_init()
    try:
        pass_gate(container.directory, pidfd)
    finally:
        os.close(pidfd)
    for failure in container.hooks().run_all("poststart", "running", container.record.pid):
        terminals.warn(failure)
    return 0


def run(context: Context, line: Sequence[str]) -> int:
    """Create and start; then wait, pass signals and the terminal on, and delete, unless --detach."""
    flags = parse(line, _RUN)
    identity = one_identity(flags)
    ensure_sealed()
    detached = flags.on("detach")
    if not detached and not flags.on("no-subreaper"):
        terminals.become_reaper()
    program = _create(context, identity, flags, detached=detached)
    try:
        with terminals.session(program, detached=detached) as session:
            start(context, [identity])
            if detached:
                return 0
            code = session.wait()
    except BaseException:
        delete(context, ["--force", identity])
        raise
    finally:
        program.close()
        program.streams.close()
    if not flags.on("keep"):
        delete(context, [identity])
    return code


def kill(context: Context, line: Sequence[str]) -> int:
    """Send a signal to the init (TERM when none is named), or to all processes."""
    flags = parse(line, _KILL)
    words = flags.words
    if len(words) not in (1, 2):
        raise InvalidArgument("kill needs a container and perhaps a signal")
    container = Container.find(context, words[0])
    try:
        number = signal_number(words[1] if len(words) == 2 else "TERM")
    except ValueError:
        raise InvalidArgument(f"unknown signal {words[1]!r}") from None
    if flags.on("all"):
        container.dwelling().signal_all(number)
        return 0
    pidfd = container.open_init()
    try:
        pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        raise NotFound("container not running") from None
    finally:
        os.close(pidfd)
    if number == signal.SIGKILL and container.cgroup.frozen():
        # A frozen process does not end: thaw it, as runc does.
        container.cgroup.thaw()
    return 0


def delete(context: Context, line: Sequence[str]) -> int:
    """Remove the control group and the record of a container that has stopped (or, forced, of any)."""
    flags = parse(line, _DELETE)
    force = flags.on("force")
    identity = one_identity(flags)
    try:
        container = Container.find(context, identity)
    except NotFound:
        if not force:
            raise
        context.records.forget(identity)
        return 0
    state = container.state()
    if state not in (State.STOPPED, State.CREATED, State.CREATING) and not force:
        raise Conflict(f"cannot delete container {identity} that is not stopped: {state}")
    _end(container)
    clear_cgroup(container.cgroup)
    try:
        failures = container.hooks().run_all("poststop", "stopped", 0)
    except NotFound:
        failures = []
    context.records.forget(identity)
    for failure in failures:
        terminals.warn(failure)
    return 0


def one_identity(flags: Parsed) -> str:
    """The one word of a line: a container."""
    if len(flags.words) != 1:
        raise InvalidArgument(f"exactly one container is needed, not {len(flags.words)}")
    return flags.words[0]


def streams_of(flags: Parsed, config_terminal: bool, *, detached: bool) -> StdioRequest:
    """What the program's streams shall be; InvalidArgument where a terminal would have no owner."""
    socket = flags.text("console-socket")
    if detached and config_terminal and not socket:
        raise InvalidArgument("cannot allocate tty if runc will detach without setting console socket")
    if socket and not config_terminal:
        raise InvalidArgument("cannot use console socket if runc will not detach or allocate tty")
    preserve = flags.number("preserve-fds")
    if config_terminal:
        return StdioRequest(terminal=True, preserve=preserve)
    return StdioRequest(inherit=(0, 1, 2), preserve=preserve)


def hand_over(program: ChildProgram, flags: Parsed) -> None:
    """Give the program's terminal and pidfd to the sockets that were named, its pid to a file."""
    if flags.text("console-socket") and program.streams.terminal is not None:
        terminals.send_file(flags.text("console-socket"), program.streams.terminal, b"/dev/ptmx")
        program.streams.close()
    if flags.text("pidfd-socket"):
        terminals.send_file(flags.text("pidfd-socket"), program.fileno(), b"pidfd")
    if flags.text("pid-file"):
        write_pid_file(flags.text("pid-file"), program.pid)


def write_pid_file(path: str, pid: int) -> None:
    """Whole or not at all: the caller may be watching for it."""
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    os.write(fd, b"%d" % pid)
    os.close(fd)
    os.rename(temporary, path)


def _create(context: Context, identity: str, flags: Parsed, *, detached: bool) -> ChildProgram:
    bundle = os.path.abspath(flags.text("bundle") or os.getcwd())
    config = load_bundle(bundle)
    terminal = bool(config.process and config.process.terminal)
    stdio = streams_of(flags, terminal, detached=detached)
    record = _new_record(identity, bundle, config)
    directory = context.records.reserve(identity)
    try:
        context.records.save_config(identity, config)
        context.records.save(record)
        gate = make_gate(directory)
        dwelling = make_dwelling(
            context,
            record,
            config,
            gate=gate,
            keyring=not flags.on("no-new-keyring"),
            pivot=not flags.on("no-pivot"),
        )
        try:
            program = dwelling.create(stdio)
        except StartFailed as error:
            error.message = f"unable to start container process: error during container init: {error.message}"
            raise
        finally:
            gate.close()
        try:
            record.pid, record.start_time = program.pid, start_time(program.pid)
            context.records.save(record)
            hand_over(program, flags)
        except BaseException:
            program.kill()
            dwelling.remove()
            raise
    except BaseException:
        context.records.forget(identity)
        raise
    return program


def _new_record(identity: str, bundle: str, config: RuntimeConfig) -> Record:
    root = config.root.path if config.root else "rootfs"
    try:
        owner = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        owner = str(os.getuid())
    return Record(
        id=identity,
        bundle=bundle,
        rootfs=os.path.normpath(os.path.join(bundle, root)),
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        owner=owner,
        cgroup=cgroup_path(config.linux.cgroups_path if config.linux else "", identity),
        annotations=config.annotations,
    )


def _end(container: Container) -> None:
    """Kill the init, and wait for its end: its namespaces are gone then."""
    try:
        pidfd = container.open_init()
    except NotFound:
        return
    try:
        pidfd_send_signal(pidfd, signal.SIGKILL)
        if container.cgroup.frozen():
            container.cgroup.thaw()
        terminals.wait_readable(pidfd, _KILL_SECONDS)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)
