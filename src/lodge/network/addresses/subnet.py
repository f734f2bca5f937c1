"""The addresses of one subnet: which are in use, and which comes next."""

from __future__ import annotations

from lodge.errors import Forbidden, InvalidArgument
from lodge.network.addresses.ranges import Block, address_text

NO_NEXT = -1


class Addresses:
    """A set of numbers inside a block.

    The next address follows the one given last and begins anew at the end, so that one that became free is
    not in somebody else's hands at once (neighbours and connections in flight still mean the old holder).
    """

    def __init__(self, block: Block) -> None:
        self.block = block
        self._used: set[int] = set()
        self._reserved: set[int] = set()
        self._cursor = block.first
        # The first stands for the network (IPv4) or its routers (IPv6, RFC 4291, 2.6.1), the last of IPv4 for
        # everybody. In a /31 both are hosts (RFC 3021), and a /32 or /128 has nothing else.
        self._edges: set[int] = set()
        if block.size > 2 if block.version == 4 else block.size > 1:
            self._edges = {block.first, block.last} if block.version == 4 else {block.first}
        self._used |= self._edges
        self._reserved |= self._edges

    def __len__(self) -> int:
        return len(self._used)

    def used_in(self, part: Block) -> int:
        """How many addresses of a part are in use."""
        if part.first <= self.block.first and self.block.last <= part.last:
            return len(self._used)
        return sum(part.first <= number <= part.last for number in self._used)

    def reserve(self, number: int) -> None:
        """Take one that is the network's own (a gateway) and never becomes free; as `take`."""
        self.take(number)
        self._reserved.add(number)

    def keep(self, number: int) -> None:
        """Make one that was taken the network's own."""
        self._reserved.add(number)

    def release(self, number: int) -> None:
        """Let go of one of the network's own; the edges stay."""
        if number not in self._edges:
            self._reserved.discard(number)
            self._used.discard(number)

    def take(self, number: int) -> None:
        """Take this very one; Forbidden in Docker's words when it is in use, InvalidArgument outside."""
        if not self.block.first <= number <= self.block.last:
            raise InvalidArgument("requested address is out of range")
        if number in self._used:
            raise Forbidden(
                "Address already in use", hint=f"{address_text(number, self.block.version)} has a holder"
            )
        self._used.add(number)

    def next(self, part: Block) -> int:
        """Take the next free one of a part of the subnet; NO_NEXT when there is none."""
        found = self._search(max(self._cursor, part.first), part.last)
        if found == NO_NEXT:
            found = self._search(part.first, min(self._cursor - 1, part.last))
        if found != NO_NEXT:
            self._used.add(found)
            self._cursor = found + 1
        return found

    def lowest(self, part: Block) -> int:
        """Take the lowest free one, whoever had it before; NO_NEXT when there is none."""
        found = self._search(part.first, part.last)
        if found != NO_NEXT:
            self._used.add(found)
        return found

    def _search(self, first: int, last: int) -> int:
        if len(self._used) >= self.block.size:
            return NO_NEXT
        used = self._used
        number = first
        while number <= last:
            if number not in used:
                return number
            number += 1
        return NO_NEXT

    def free(self, number: int) -> None:
        """Give one back; idempotent, and in vain for one that is reserved."""
        if number not in self._reserved:
            self._used.discard(number)

    def holds(self, number: int) -> bool:
        """Whether it is in use."""
        return number in self._used
