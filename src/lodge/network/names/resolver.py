"""What one sandbox's name server says to a question: an answer, or that somebody else must be asked.

The rules are Docker's: a name is looked up in the sandbox's networks in their order, first among its own
links; then, for "a.b.c", "a.b" in the network called c and "a" in the one called b.c. Of a name that is
known, what it has not (an IPv6 address, a mail exchanger) is answered by nothing, and not asked elsewhere.
"""

from __future__ import annotations

from lodge.network.names import answers
from lodge.network.names.book import Book, Entry, Table, name_key
from lodge.network.names.question import (
    AAAA,
    ANY,
    ANY_CLASS,
    IN,
    PTR,
    SERVFAIL,
    A,
    Malformed,
    Question,
    read_question,
)
from lodge.network.names.view import View

# Answers that are kept ready, by the whole question, which is no longer than this; and in how many orders the
# several addresses of a name. What a container makes us keep so is some two megabytes at most.
_READY = 256
_LONGEST = 320
_ORDERS = 16


class Resolver:
    """Bytes in, bytes out; no socket. `answer` is the path of every packet: it must be short."""

    def __init__(self, book: Book, view: View) -> None:
        self._book = book
        self.view = view
        self._links: list[dict[bytes, str]] = []
        self._names: list[bytes] = []
        self._ready: dict[bytes, list[bytes]] = {}
        self._edition = -1
        self._turn = 0
        self.change(view)

    def change(self, view: View) -> None:
        """See with other eyes from now on."""
        self.view = view
        self._links = [{name_key(alias): to for alias, to in one.links.items()} for one in view.networks]
        self._names = [name_key(one.name) for one in view.networks]
        self._edition = -1

    def ready(self, message: bytes) -> bytes | None:
        """The answer to a question by UDP that was asked in the same words before, the next in rotation."""
        if self._edition != self._book.edition:
            self._ready.clear()
            self._edition = self._book.edition
            return None
        bodies = self._ready.get(message[2:])
        if bodies is None:
            return None
        if len(bodies) > 1:
            bodies.append(bodies.pop(0))
        return message[:2] + bodies[0]

    def answer(self, message: bytes, *, stream: bool = False) -> bytes | Question:
        """The answer to a query (see `question.is_query`), or the question that an upstream must answer.

        A question that nobody can answer gets SERVFAIL here.
        """
        try:
            question = read_question(message)
        except Malformed as error:
            return answers.error(message, error.code)
        found = self._find(question) if question.family in (IN, ANY_CLASS) else None
        if found is None:
            return self._elsewhere(message, question)
        limit = answers.LONGEST if stream else question.limit
        if isinstance(found, str):
            bodies = [answers.name(message, question, found, limit)[2:]]
        elif not found:
            bodies = [answers.nothing(message, question)[2:]]
        else:
            orders = self._orders(found)
            bodies = [answers.addresses(message, question, order, limit)[2:] for order in orders]
        keep = not stream and (isinstance(found, str) or len(found) <= _ORDERS)
        if keep and len(self._ready) < _READY and len(message) <= _LONGEST:
            self._ready[message[2:]] = bodies
        return message[:2] + bodies[0]

    def _orders(self, found: list[bytes]) -> list[list[bytes]]:
        """Every order of few addresses, so that they can take turns; the next one of many."""
        self._turn += 1
        turns = range(len(found)) if len(found) <= _ORDERS else [self._turn % len(found)]
        return [found[turn:] + found[:turn] for turn in turns]

    def _elsewhere(self, message: bytes, question: Question) -> bytes | Question:
        if question.kind in (A, AAAA) and self.view.ndots and b"." not in question.name:
            return answers.nothing(message, question)
        if not any(self.view.external or one.inside for one in self.view.upstreams):
            return answers.error(message, SERVFAIL, question)
        return question

    def _find(self, question: Question) -> str | list[bytes] | None:
        """A name for a reverse look-up, the addresses of a name that is known, or None."""
        if question.kind == PTR:
            return self._reverse(question.name) or None
        entries = self._entries(question.name)
        if entries is None:
            return None
        found: list[bytes] = []
        if question.kind in (A, ANY):
            found += [entry.ipv4 for entry in entries if entry.ipv4]
        if question.kind in (AAAA, ANY):
            found += [entry.ipv6 for entry in entries if entry.ipv6]
        return list(dict.fromkeys(found))

    def _reverse(self, key: bytes) -> str:
        for attachment in self.view.networks:
            table = self._book.table(attachment.network)
            name = table.reverse(key) if table is not None else ""
            if name:
                return f"{name}.{attachment.name}" if attachment.name else name
        return ""

    def _entries(self, name: bytes) -> list[Entry] | None:
        found = self._among(name, b"")
        place = len(name)
        while found is None and (place := name.rfind(b".", 0, place)) > 0:
            network = name[place + 1 :]
            if network in self._names:
                found = self._among(name[:place], network)
        return found

    def _among(self, name: bytes, network: bytes) -> list[Entry] | None:
        """Who is called so in the networks of the sandbox, or in the one of this name."""
        tables: list[tuple[Table, dict[bytes, str]]] = []
        for attachment, own, links in zip(self.view.networks, self._names, self._links, strict=True):
            table = self._book.table(attachment.network)
            if table is not None and (not network or own == network):
                tables.append((table, links))
        for table, links in tables:
            linked = _linked(table, links.get(name, ""))
            if linked:
                return linked
        for table, links in tables:
            entries = table.named(name) if name not in links else []
            if entries:
                return entries
        return None


def _linked(table: Table, container: str) -> list[Entry]:
    """Who a link means: a container by its id or, where that was not known yet, by its name."""
    entry = table.container(container)
    return [entry] if entry is not None else table.named(name_key(container))
