"""What a keeper and a machine's agent say to each other: frames, and fields in them.

    keeper (through the porter)                agent (process 1 of the machine)
      | <-------------------------- READY        |   version, the kernel's release
      | SETUP ---------------------------------> |   time, randomness, names, mounts; once
      | <-------------------------- ANSWER       |
      | SPAWN n -------------------------------> |   a program on channel n; the first is the container's own
      | <-------------------------- ANSWER n     |   it stands right before execve
      | START n -------------------------------> |
      | <-------------------------- ANSWER n     |   it runs, or execve's error
      | INPUT n, INPUT_END n, CREDIT n,          |
      | RESIZE n, SIGNAL n --------------------> |   signal on channel 0: to every process of the container
      | <---- OUTPUT n, OUTPUT_END n, TAKEN n    |   streams with windows: CREDIT, TAKEN give used ones back
      | <-------------------------- EXITED n     |   after its output for the first, at once for others
      | FIGURES, TABLE, SYNC, GROUP -----------> |   each answered by ANSWER on the channel it came by
      | <----- OUT_OF_MEMORY, NAME_QUERY         |
      | NAME_ANSWER ---------------------------> |

A frame is kind (8 bits), zero (8), channel (16), length (32), payload; a field of a SETUP or SPAWN is tag
(16), length (32), bytes; all little-endian. A payload has at most FRAME_LIMIT bytes. The agent's side is
agent/agent.h; a test compares the numbers. Pure: no I/O here. What comes from a machine is hostile: `Reader`
raises ProtocolError for what no agent says, and whoever reads ends the machine then.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum

from msgspec import Struct

VERSION = 1
FRAME_LIMIT = 1 << 20
WINDOW = 256 * 1024
_HEADER = struct.Struct("<BBHI")
_FIELD = struct.Struct("<HI")
_ANSWER = struct.Struct("<iI")
LAST_CHANNEL = 0xFFFF


class Kind(IntEnum):
    """Kinds of frames; from READY on they are the agent's."""

    SETUP = 1
    SPAWN = 2
    START = 3
    INPUT = 4
    INPUT_END = 5
    CREDIT = 6
    RESIZE = 7
    SIGNAL = 8
    FIGURES = 9
    TABLE = 10
    SYNC = 11
    GROUP = 12
    NAME_ANSWER = 13
    READY = 65
    ANSWER = 66
    OUTPUT = 67
    OUTPUT_END = 68
    EXITED = 69
    TAKEN = 70
    OUT_OF_MEMORY = 71
    NAME_QUERY = 72


class Field(IntEnum):
    """Tags of fields: to 19 of SETUP, from 20 on of SPAWN."""

    TIME = 1
    ENTROPY = 2
    HOSTNAME = 3
    DOMAINNAME = 4
    READ_ONLY = 6
    MOUNT = 7
    NODE = 8
    MASK = 9
    READ_ONLY_PATH = 10
    SYSCTL = 11
    GROUP_FILE = 12
    NETLINK = 13
    UPPER = 15
    NAMES = 16
    ARG = 20
    ENV = 21
    CWD = 22
    UID = 23
    GID = 24
    GROUPS = 25
    UMASK = 26
    CAPABILITIES = 27
    NO_NEW_PRIVILEGES = 28
    RLIMIT = 29
    TERMINAL = 30
    SECCOMP = 31
    INIT = 32
    STDIN = 33
    USER = 34
    GROUP = 35
    OOM_SCORE = 36
    NULL_STREAMS = 37
    REAPER = 38


class Stage(IntEnum):
    """Where something went wrong, in an ANSWER."""

    NOTHING = 0
    SETUP = 1
    MOUNT = 2
    USER = 3
    CWD = 4
    LOOKUP = 5
    EXEC = 6
    IDENTITY = 7
    PROTOCOL = 8


_FROM_AGENT = frozenset(kind for kind in Kind if kind >= Kind.READY)


class ProtocolError(ValueError):
    """The other side said what nobody says."""


class Frame(Struct, frozen=True):
    """One frame."""

    kind: Kind
    channel: int = 0
    payload: bytes = b""


class Answer(Struct, frozen=True):
    """The payload of an ANSWER: an errno (0: done), the stage, and a text.

    The reason, or what was asked for.
    """

    error: int
    stage: Stage
    text: bytes


def encode(kind: Kind, channel: int = 0, payload: bytes = b"") -> bytes:
    """A frame as bytes; ValueError when the payload is too long."""
    if len(payload) > FRAME_LIMIT:
        raise ValueError(f"a frame of {len(payload)} bytes; the limit is {FRAME_LIMIT}")
    return _HEADER.pack(kind, 0, channel, len(payload)) + payload


def field(tag: Field, value: bytes | str | int = b"") -> bytes:
    """A field; an int is 32 bits."""
    if isinstance(value, int):
        value = struct.pack("<I", value & 0xFFFFFFFF)
    elif isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    return _FIELD.pack(tag, len(value)) + value


def read_fields(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a payload; ProtocolError when it is malformed."""
    offset = 0
    while offset < len(payload):
        if len(payload) - offset < _FIELD.size:
            raise ProtocolError("a field without a head")
        tag, length = _FIELD.unpack_from(payload, offset)
        offset += _FIELD.size
        if length > len(payload) - offset:
            raise ProtocolError("a field that ends behind its payload")
        yield tag, payload[offset : offset + length]
        offset += length


def read_answer(payload: bytes) -> Answer:
    """The payload of an ANSWER; ProtocolError when it is none."""
    if len(payload) < _ANSWER.size:
        raise ProtocolError("an answer without a head")
    error, stage = _ANSWER.unpack_from(payload)
    try:
        return Answer(error, Stage(stage), payload[_ANSWER.size :])
    except ValueError:
        raise ProtocolError(f"an answer of the unknown stage {stage}") from None


def read_number(payload: bytes) -> int:
    """The payload of EXITED, TAKEN: 32 bits; ProtocolError for other lengths."""
    if len(payload) != 4:
        raise ProtocolError(f"a number of {len(payload)} bytes")
    return int.from_bytes(payload, "little")


class Reader:
    """Cuts frames out of the bytes of one side, in any pieces."""

    def __init__(self, kinds: Iterable[Kind] = _FROM_AGENT) -> None:
        self._kinds = frozenset(kinds)
        self._waiting = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete now; ProtocolError for an unknown kind or an impossible length."""
        self._waiting += data
        frames: list[Frame] = []
        offset = 0
        while len(self._waiting) - offset >= _HEADER.size:
            kind, zero, channel, length = _HEADER.unpack_from(self._waiting, offset)
            if kind not in self._kinds or zero or length > FRAME_LIMIT:
                raise ProtocolError(f"not a frame: kind {kind}, length {length}")
            end = offset + _HEADER.size + length
            if len(self._waiting) < end:
                break
            payload = bytes(self._waiting[offset + _HEADER.size : end])
            frames.append(Frame(Kind(kind), channel, payload))
            offset = end
        del self._waiting[:offset]
        return frames
