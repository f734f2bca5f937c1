"""The vocabulary between an engine and its porter: all that the two can say.

A message is one JSON text on a SEQPACKET socket, its kind in the member "type"; sockets travel with it.

    engine                                   porter
      | <----------------------------- Hello     (once, when an engine connects)
      | <-------------- HeldSandbox + 2 fds, HeldPort + fd ...                  (what it has kept)
      | <----------------------------- Shown
      | Join, Leave, Open + 2 fds, Close, Reserve + fd, Free ------>
      | <----------------------------- Done      (for Free and Settle, which carry a request number)
      | Settle --------------------------------> what was not given again since Hello goes

Nothing else is answered. Sockets that the porter holds are given back to each engine that connects, so that
either side can die and the other still has them.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from lodge.network.names.view import Member, View

PROTOCOL = 1
"""Raised when a porter of before would not understand: it is replaced then."""


class Message(Struct, tag=True, kw_only=True, omit_defaults=True):
    """The base of all: the kind is the class's name."""


class Target(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a published port leads: `protocol` tcp, udp or sctp. Without an address it is only kept taken."""

    protocol: str
    address: str = ""
    port: int = 0


class Join(Message):
    """A member is in a network, or has other names or addresses now."""

    network: str
    member: Member


class Leave(Message):
    """A member is gone."""

    network: str
    endpoint: str


class Open(Message):
    """Answer names for a sandbox on two sockets in its namespace, UDP and listening TCP.

    Without them: the view of one that is open has changed.
    """

    container: str
    view: View


class Close(Message):
    """A sandbox is gone."""

    container: str


class Reserve(Message):
    """Keep a bound socket (TCP and SCTP: listening, where there is a target) and forward what arrives.

    Without a socket: the target of one that is kept has changed. `key` is the engine's name for it.
    """

    container: str
    key: str
    target: Target


class Free(Message):
    """Close one port of a container, or all for the key ""; answered when they are free."""

    request: int
    container: str
    key: str = ""


class Settle(Message):
    """All has been given again: drop the rest. Answered."""

    request: int


class Retire(Message):
    """Another porter takes over: let go of every socket, carry connections to their end, then leave."""


class Hello(Message):
    """Who answers."""

    protocol: int
    pid: int


class HeldSandbox(Message):
    """A sandbox that is open; its two sockets come along."""

    container: str


class HeldPort(Message):
    """A port that is kept; its socket comes along."""

    container: str
    key: str


class Shown(Message):
    """Everything held has been shown."""


class Done(Message):
    """It is done."""

    request: int


ToPorter = Join | Leave | Open | Close | Reserve | Free | Settle | Retire
ToEngine = Hello | HeldSandbox | HeldPort | Shown | Done

_encoder = msgspec.json.Encoder()


def encode(message: Message) -> bytes:
    """Write a message as JSON."""
    return _encoder.encode(message)


def decoder_of(kinds: Any) -> msgspec.json.Decoder[Any]:
    """A reader of one side's kinds; msgspec.ValidationError for anything else."""
    return msgspec.json.Decoder(kinds)
