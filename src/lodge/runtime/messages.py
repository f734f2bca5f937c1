"""The vocabulary between an engine and a monitor: all that the two can say.

A message is one JSON text on a SEQPACKET socket (`link` carries it), its kind in the member "type".

    engine                                   monitor
      | Launch ------------------------------> |   makes the dwelling up to just before the program
      | Attach + fd (any number) ------------> |   clients that must not miss the first byte
      | Start -------------------------------> |   executes the program
      | <----------------- Born                       (where an init was born ahead; may be left out)
      | <----------------- Done{Launch}, Created
      | <----------------- Done{Attach} ...
      | <----------------- Done{Start}, Started
      | Execute + fd, Attach + fd, Resize,     |
      | Signal, Pause, Resume, Update,         |
      | Stats, Processes, Query, ReopenLog --> |
      | <----------------- Done / Failed / the answer's own kind, with the request's number
      | <----------------- ExecExited, Detached, OutOfMemory, LogTrouble    (facts, whenever they happen)
      | <----------------- Exited                                           (the last word; the link ends)

The engine may send Launch, Attach and Start at once, before the monitor even exists. Each request is answered
once, in order, to the link that asked; facts go to every link. A Launch or Start that fails ends the monitor:
its exit record says why, Failed goes out, then Exited. A request of the wrong phase (Start before Launch, a
second Launch) is answered by Failed with the kind Conflict and changes nothing. Attach and Execute take at
most one fd, everything else none: strays are closed, and the request fails with InvalidArgument.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from lodge.spec.mount import Mount
from lodge.spec.runtime import Process, Resources, RuntimeConfig

PROCESS_WING = "process"
VM_WING = "vm"


class Message(Struct, tag=True, kw_only=True, omit_defaults=True):
    """The base of all: the kind is the class's name."""


class Request(Message):
    """The base of what an engine asks; `request` is a number that the answer repeats."""

    request: int


class Forward(Struct, kw_only=True, omit_defaults=True):
    """A log service that output is sent on to: driver syslog or journald, with Docker's options."""

    driver: str
    options: dict[str, str] = {}
    tag: str = ""
    container_id: str = ""
    container_name: str = ""
    image_name: str = ""
    attributes: dict[str, str] = {}


class LogSpec(Struct, kw_only=True, omit_defaults=True):
    """Where output is logged: driver json-file, local or none; sizes in bytes, -1 for without end.

    `attributes` (labels, env, tag) are kept with every entry. `forward` is a service that gets it as well.
    """

    driver: str = "json-file"
    path: str = ""
    max_size: int = -1
    max_files: int = 1
    compress: bool = False
    attributes: dict[str, str] = {}
    forward: Forward | None = None


class Order(Request):
    """The part of a Launch that its monitor looks at.

    `runtime` is PROCESS_WING, VM_WING or the path of an external OCI runtime. `root_mounts` are performed
    inside the container's own mount namespace; without them the config's root.path is the root. `state_dir`
    receives monitor.sock, monitor.json and at the end exit.json; an old exit.json there is removed. With
    `measure` Exited tells what was used.
    """

    id: str
    bundle: str
    state_dir: str
    runtime: str = PROCESS_WING
    runtime_arguments: list[str] = []
    root_mounts: list[Mount] | None = None
    terminal: bool = False
    stdin: bool = False
    stdin_once: bool = False
    window: tuple[int, int] | None = None
    log: LogSpec | None = None
    measure: bool = False


class Launch(Order):
    """Make a container. The config is `config` or, where that is left out, the bundle's config.json.

    `extras` is the JSON of `process.extras.Extras`: what the engine wants beyond the specification.
    """

    config: RuntimeConfig | None = None
    extras: msgspec.Raw = msgspec.Raw()


class SealedLaunch(Order, tag="Launch"):
    """A Launch as its monitor reads it: config and extras stay text, for whoever makes the dwelling."""

    config: msgspec.Raw = msgspec.Raw(b"null")
    extras: msgspec.Raw = msgspec.Raw(b"null")


class Attach(Request):
    """Connect a client's socket (the fd) to the program's streams, for as long as both last.

    `framed` says frames (see spec.streams) rather than raw bytes. `received` are bytes of the client that the
    engine has read already. With `replay` the log so far comes first, without a gap or a repetition; with
    `live` off the connection ends after it. `detach_keys` are the bytes that end a terminal's session; empty
    for none. The monitor owns the fd and closes it.
    """

    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    framed: bool = True
    detach_keys: bytes = b""
    replay: bool = False
    live: bool = True
    received: bytes = b""


class Start(Request):
    """Execute the program."""


class Execute(Request):
    """Run a further program; with an fd its streams are connected to it as in Attach, else it is detached.

    A program that can't be started is answered by Failed (StartFailed), and the message is written into the
    stream too, as Docker does; ExecExited with the code follows.
    """

    exec_id: str
    process: Process
    terminal: bool = False
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    framed: bool = True
    detach_keys: bytes = b""
    received: bytes = b""
    window: tuple[int, int] | None = None
    extras: msgspec.Raw = msgspec.Raw()


class Resize(Request):
    """Set the terminal's size, of the container's program or of an exec."""

    rows: int
    columns: int
    exec_id: str | None = None


class Signal(Request):
    """Send a signal to the container's program, to an exec, or to every process in the container."""

    number: int
    exec_id: str | None = None
    all: bool = False


class Pause(Request):
    """Freeze every process; Conflict when it is paused already."""


class Resume(Request):
    """Thaw; Conflict when it is not paused."""


class Update(Request):
    """Change limits."""

    resources: Resources


class Stats(Request):
    """Answered by Figures."""


class Processes(Request):
    """Answered by ProcessList."""


class Sync(Request):
    """Make the container's files on the host what its programs see; `changed`: the host has changed some.

    Done at once where both are the same.
    """

    changed: bool = False


class Query(Request):
    """Answered by Report."""


class ReopenLog(Request):
    """Close the log and open its path anew (somebody moved it away)."""


class Answer(Message):
    """The base of what answers a request."""

    request: int


class Done(Answer):
    """It is done; `pid` for an Execute."""

    pid: int = 0


class Failed(Answer):
    """It is not done. `kind` names a class of lodge.errors; `exit_code` comes with StartFailed."""

    kind: str
    message: str
    hint: str | None = None
    exit_code: int | None = None


class Figures(Answer):
    """What the control group counts, as JSON: kernel.cgroups' CgroupStats."""

    stats: msgspec.Raw
    at_ns: int


class ProcessList(Answer):
    """The pids in the container, in the host's numbers; `rows` are those it does not see, as of ps -ef."""

    pids: list[int]
    rows: list[list[str]] = []


class ExecState(Struct, kw_only=True, omit_defaults=True):
    """An exec: running as `pid`, or ended with `code`."""

    exec_id: str
    pid: int = 0
    code: int | None = None


class Report(Answer):
    """Where the container stands: `phase` is "empty" before a Launch, else a word of `runtime.states`."""

    id: str
    phase: str
    pid: int = 0
    started_at_ns: int = 0
    execs: list[ExecState] = []
    attached: int = 0
    log_dropped: int = 0
    oom_kills: int = 0


class Event(Message):
    """The base of what a monitor tells unasked."""


class Born(Event):
    """A process with the container's namespaces is there; the order may still go to another (see Created)."""

    pid: int


class Created(Event):
    """The dwelling stands; `pid` is the init's."""

    pid: int


class Started(Event):
    """The program runs."""

    pid: int
    at_ns: int


class Exited(Event):
    """The program ended, its exit record is written, its output is in the log.

    `cpu_ns` and `peak_memory` (bytes) are what the control group counted, for a Launch with `measure`.
    """

    code: int
    at_ns: int
    oom_killed: bool = False
    error: str = ""
    cpu_ns: int = 0
    peak_memory: int = 0


class ExecStarted(Event):
    """A further program runs."""

    exec_id: str
    pid: int


class ExecExited(Event):
    """A further program ended, or could not be started."""

    exec_id: str
    code: int


class Detached(Event):
    """A client pressed the detach keys."""

    exec_id: str | None = None


class OutOfMemory(Event):
    """The kernel killed a process of the container for want of memory."""


class LogTrouble(Event):
    """The log can't be written; `dropped` bytes of output are lost so far. Empty message: it works again."""

    message: str
    dropped: int


ToMonitor = (
    SealedLaunch
    | Attach
    | Start
    | Execute
    | Resize
    | Signal
    | Pause
    | Resume
    | Update
    | Stats
    | Processes
    | Sync
    | Query
    | ReopenLog
)
ToEngine = (
    Done
    | Failed
    | Figures
    | ProcessList
    | Report
    | Born
    | Created
    | Started
    | Exited
    | ExecStarted
    | ExecExited
    | Detached
    | OutOfMemory
    | LogTrouble
)

_encoder = msgspec.json.Encoder()


def encode(message: Message) -> bytes:
    """Write a message as JSON."""
    return _encoder.encode(message)


def decoder_of(kinds: Any) -> msgspec.json.Decoder[Any]:
    """A reader of one side's kinds (ToMonitor, ToEngine, ...); msgspec.ValidationError for anything else."""
    return msgspec.json.Decoder(kinds)
