"""What a keeper and the process that it cloned say to each other until the program runs.

The socket is a SEQPACKET pair. Left the child (an init or an exec), right its keeper:

    init                                     keeper
      | <--------------------------- Mapped    a new user namespace has its id maps
      | <------------------ Settled + files    the control group exists; write 0 into each file to enter it
      | HooksDue ------------------------->    mounts are made: prestart and createRuntime hooks, in the host
      | <------------------------ HooksDone
      | TerminalOpened + fd -------------->    the master
      | ListenerOpened ------------------->    a seccomp listener, by its number: fetched by pidfd_getfd(2)
      | <------------------------ Listening
      | Ready ---------------------------->    the next step is execve (create has ended)
      | <---------------------------- Start    not an exec, unless its keeper sets its limits
      | (end of file) --------------------     execve has closed the socket: the program runs
      | Failed --------------------------->    instead, at any point: the child is gone

An init that was born ahead (`prefab`) says Prepared when it can take an order, and Misfit to one that it
can't fulfil. It makes its control group itself, so nobody says Settled to it.

An exec says TerminalOpened, ListenerOpened and Ready only, and goes on at once. Where a part is not needed
(no user namespace, no hooks, ...), neither side mentions it. A receiver names what it expects; anything
else, a message out of order or with a stray file, is an error of ours and ends the start.

After Ready a seccomp filter may be at work: from there on the child uses read(2) and write(2) alone, and
Start may come from somebody else (`gate`).
"""

from __future__ import annotations

import os
import socket
from typing import NoReturn, TypeVar

import msgspec
from msgspec import Struct

from lodge import errors
from lodge.kernel import sockets


class Mapped(Struct, tag=True):
    """Keeper: the id maps are written."""


class Settled(Struct, tag=True):
    """Keeper: the control group is there; the files (as many as it has) are its entries."""


class Prepared(Struct, tag=True):
    """Child born ahead: what can be made without an order is made."""


class Misfit(Struct, tag=True):
    """Child born ahead: this order wants another container than I am; nothing was done."""


class HooksDue(Struct, tag=True):
    """Child: run the hooks of the host now."""


class HooksDone(Struct, tag=True):
    """Keeper: they have ended well."""


class TerminalOpened(Struct, tag=True):
    """Child: here is the master (one file)."""


class TreeMade(Struct, tag=True):
    """A helper that mounts: here is what was put together (one file)."""


class ListenerOpened(Struct, tag=True):
    """Child: the seccomp listener is this descriptor of mine."""

    fd: int


class Listening(Struct, tag=True):
    """Keeper: somebody has the listener."""


class Ready(Struct, tag=True):
    """Child: all is made."""


class Start(Struct, tag=True):
    """Go: become the program."""


class Failed(Struct, tag=True):
    """Child: it can't be done. `kind` is the name of a class in `lodge.errors`."""

    kind: str
    message: str
    exit_code: int = 128


Message = (
    Mapped
    | Settled
    | Prepared
    | Misfit
    | HooksDue
    | HooksDone
    | TerminalOpened
    | TreeMade
    | ListenerOpened
    | Listening
    | Ready
    | Start
    | Failed
)
_FILES = {TerminalOpened: 1, TreeMade: 1}

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_encoder = msgspec.json.Encoder()

M = TypeVar("M")

MAX_TEXT = 16 << 10
_MAX_FILES = 32
START = _encoder.encode(Start())


def failed(error: BaseException) -> bytes:
    """What went wrong, as the other side will hear it."""
    if isinstance(error, errors.StartFailed):
        report = Failed("StartFailed", error.message, error.exit_code)
    elif isinstance(error, errors.LodgeError):
        report = Failed(type(error).__name__, error.message)
    else:
        report = Failed("StartFailed", f"{error}" or type(error).__name__)
    if len(report.message) > MAX_TEXT:
        report.message = report.message[:MAX_TEXT] + "..."
    return _encoder.encode(report)


def raise_failed(report: Failed) -> NoReturn:
    """Raise what the child reported as the kind that it was there."""
    if report.kind == "StartFailed":
        raise errors.StartFailed(report.message, exit_code=report.exit_code)
    kind = getattr(errors, report.kind, errors.Internal)
    raise kind(report.message)


def decode(packet: bytes) -> Message:
    """One message; Internal for anything that is none."""
    try:
        return _decoder.decode(packet)
    except msgspec.MsgspecError as error:
        raise errors.Internal(f"the start of a program went wrong: {error}") from None


class Channel:
    """One end of the socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """(the keeper's end, the child's end)."""
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(left), cls(right)

    def fileno(self) -> int:
        """The socket."""
        return self.sock.fileno()

    def close(self) -> None:
        """Idempotent."""
        self.sock.close()

    def send(self, message: Message, *fds: int) -> None:
        """Say one thing; BrokenPipeError when nobody listens any more. Without files by write(2)."""
        if fds:
            sockets.send(self.sock, _encoder.encode(message), fds)
        else:
            os.write(self.sock.fileno(), _encoder.encode(message))

    def expect(self, kind: type[M]) -> M:
        """The next message, which must be of this kind; by read(2), so a file with it is lost."""
        packet = os.read(self.sock.fileno(), MAX_TEXT)
        if not packet:
            raise errors.StartFailed("the keeper is gone")
        message, _ = self._judge(packet, [], (kind,))
        assert isinstance(message, kind)
        return message

    def expect_entries(self) -> list[int]:
        """The files of the next message, which must be Settled."""
        packet, fds = self._read()
        if not packet:
            raise errors.StartFailed("the keeper is gone")
        if not isinstance(decode(packet), Settled):
            self._judge(packet, fds, ())
        return fds

    def expect_any(self, *kinds: type[Message]) -> tuple[Message, int]:
        """The next message, one of these kinds, and its file (-1 for none)."""
        return self._receive(kinds)

    def expect_end(self) -> None:
        """Wait until the other side is gone without a word: the program runs."""
        packet, fds = self._read()
        if packet:
            self._judge(packet, fds, ())

    def _receive(self, kinds: tuple[type, ...]) -> tuple[Message, int]:
        packet, fds = self._read()
        if not packet:
            raise errors.StartFailed("the process was killed while it was set up")
        return self._judge(packet, fds, kinds)

    def _read(self) -> tuple[bytes, list[int]]:
        try:
            return sockets.receive(self.sock, MAX_TEXT * 2, _MAX_FILES)
        except ConnectionResetError:  # it died with our words unread
            return b"", []

    def _judge(self, packet: bytes, fds: list[int], kinds: tuple[type, ...]) -> tuple[Message, int]:
        message = decode(packet)
        wanted = _FILES.get(type(message), 0)
        if isinstance(message, kinds) and len(fds) == wanted:
            return message, fds[0] if fds else -1
        for fd in fds:
            os.close(fd)
        if isinstance(message, Failed):
            raise_failed(message)
        names = " or ".join(kind.__name__ for kind in kinds) or "nothing"
        raise errors.Internal(
            f"the start of a program went wrong: {type(message).__name__} with {len(fds)} files"
            f" came where {names} was expected"
        )
