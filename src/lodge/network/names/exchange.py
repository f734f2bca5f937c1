"""One question on its way through the upstreams: whom to ask next, and which answer to believe. No socket."""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import Enum

from lodge.network.names.question import (
    FORMERR,
    HEADER,
    NOTIMP,
    REFUSED,
    RESPONSE,
    SERVFAIL,
    Question,
)
from lodge.network.names.view import Upstream, View

# As Docker: so many servers are tried, each for so long (seconds).
TRIES = 3
PATIENCE = 4.0
# The address of our own server inside a sandbox, which must not ask itself.
OWN_ADDRESS = "127.0.0.11"


class Verdict(Enum):
    """What to do with what came in."""

    BELIEVE = 1
    IGNORE = 2
    ASK_NEXT = 3


def servers(view: View) -> list[Upstream]:
    """The upstreams that a sandbox's questions may go to, in their order."""
    allowed = [one for one in view.upstreams if one.inside or view.external]
    return [one for one in allowed if not (one.inside and one.address == OWN_ADDRESS)][:TRIES]


class Exchange:
    """A client's question; `next` begins an attempt, `judge` says what to make of an answer."""

    __slots__ = ("_asked", "_id", "_left", "_message", "question", "stream")

    def __init__(
        self, message: bytes, question: Question, upstreams: Iterable[Upstream], *, stream: bool
    ) -> None:
        self._message = message
        self.question = question
        self.stream = stream
        self._left = list(upstreams)
        self._id = b""
        self._asked = message[HEADER.size : question.end].lower()

    @property
    def message(self) -> bytes:
        """The question as the client asked it."""
        return self._message

    def next(self) -> Upstream | None:
        """The next server to ask, or None after the last."""
        if not self._left:
            return None
        # Another number each time, and none that the client chose: what comes late or is forged won't match.
        self._id = os.urandom(2)
        return self._left.pop(0)

    def outgoing(self) -> bytes:
        """What to send."""
        return self._id + self._message[2:]

    def judge(self, answer: bytes) -> Verdict:
        """Whether an answer is one to this question, and final."""
        if len(answer) < HEADER.size or answer[:2] != self._id:
            return Verdict.IGNORE
        _, flags, questions, _, _, _ = HEADER.unpack_from(answer)
        if not flags & RESPONSE:
            return Verdict.IGNORE
        code = flags & 0xF
        # Servers that could not read the question may leave it out.
        silent = questions == 0 and code in (FORMERR, NOTIMP, SERVFAIL, REFUSED)
        if not silent and (questions != 1 or answer[HEADER.size : self.question.end].lower() != self._asked):
            return Verdict.IGNORE
        return Verdict.ASK_NEXT if code in (SERVFAIL, REFUSED) else Verdict.BELIEVE

    def incoming(self, answer: bytes) -> bytes:
        """An answer to believe, as the client gets it."""
        return self._message[:2] + answer[2:]
