"""All subnets and addresses of an engine: taken, given back, and known anew at each start.

The order at a start: `restore` for each network (its subnets are in its row), `hold` for each endpoint that
lives. Nobody writes the ledger down: what no endpoint holds is free (hostile.md, row 40). For one thread; no
call blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from lodge.errors import Conflict, Exhausted, Forbidden, InvalidArgument, NotFound
from lodge.network.addresses import hardware, pools, rules
from lodge.network.addresses.ranges import Block, address_text, read_address, read_block
from lodge.network.addresses.subnet import NO_NEXT, Addresses
from lodge.network.contract import Subnet

_OVERLAP = "invalid pool request: Pool overlaps with other one on this address space"


class Lease(Struct, frozen=True, kw_only=True):
    """What an endpoint got: addresses with the subnet's prefix length ("10.1.0.2/16") or "", and its MAC."""

    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""


class Usage(Struct, frozen=True, kw_only=True):
    """Docker's figures of a subnet: addresses in use, and those left for endpoints that ask for none."""

    in_use: int
    available: int


class _Range:
    """One subnet of one network: where its endpoints' addresses come from."""

    __slots__ = ("addresses", "own", "part")

    def __init__(self, addresses: Addresses, part: Block) -> None:
        self.addresses = addresses
        self.part = part
        # The gateway and the auxiliary addresses: they go with the network.
        self.own: list[int] = []


class _Network:
    __slots__ = ("macs", "ranges")

    def __init__(self, ranges: list[_Range]) -> None:
        self.ranges = ranges
        self.macs: set[str] = set()


class Ledger:
    """See the module."""

    def __init__(self, default_pools: Sequence[pools.Pool] = pools.DEFAULT_POOLS, host: str = "") -> None:
        """`default_pools` as the daemon's setting has them; `host` an id of this machine, for IPv6."""
        self._pools = pools.read_pools(default_pools or pools.DEFAULT_POOLS, host)
        self._networks: dict[str, _Network] = {}
        # Networks may share a subnet when their ip ranges differ (macvlan); its addresses are shared then.
        self._subnets: dict[Block, tuple[Addresses, int]] = {}

    # Networks

    def create(
        self,
        network: str,
        wishes: Sequence[rules.SubnetWish] = (),
        *,
        ipv4: bool = True,
        ipv6: bool = False,
        gateway: bool = True,
        taken: Iterable[str] = (),
    ) -> tuple[Subnet, ...]:
        """Give a new network its subnets, resolved.

        `taken` are blocks that the host uses, which no chosen subnet may overlap (one that the user names
        may); without `gateway` none is chosen where none is named. Nothing is kept when it fails: Forbidden
        for an overlap, InvalidArgument for wishes that can't be met, all in Docker's words.
        """
        obstacles = [read_block(text)[0] for text in taken]
        ranges: list[_Range] = []
        resolved: list[Subnet] = []
        try:
            for wish in rules.read_wishes(wishes, ipv4=ipv4, ipv6=ipv6):
                one = self._open(wish, obstacles)
                ranges.append(one)
                resolved.append(_furnish(one, wish, gateway))
        except BaseException:
            for one in ranges:
                self._close(one)
            raise
        self._networks[network] = _Network(ranges)
        return tuple(resolved)

    def restore(self, network: str, subnets: Sequence[Subnet]) -> None:
        """Know a network again, at a start; what overlaps now was allowed once, and is not argued with."""
        ranges: list[_Range] = []
        for subnet in subnets:
            block, _ = read_block(subnet.subnet)
            one = self._share(block, read_block(subnet.range)[0] if subnet.range else block)
            for text in (subnet.gateway, *subnet.auxiliary.values()):
                if text:
                    _reserve(one, read_address(text)[1])
            ranges.append(one)
        self._networks[network] = _Network(ranges)

    def remove(self, network: str) -> None:
        """Forget a network and all its addresses; idempotent."""
        found = self._networks.pop(network, None)
        for one in found.ranges if found is not None else ():
            self._close(one)

    def _open(self, wish: rules.Wish, obstacles: Sequence[Block]) -> _Range:
        used = list(self._subnets)
        if wish.subnet is None:
            chosen = pools.choose(self._pools, [*used, *obstacles], wish.version, wish.length)
            return self._share(chosen, chosen)
        same = wish.range is not None and wish.subnet in self._subnets and not self._has(wish)
        if not same and any(block.overlaps(wish.subnet) for block in used):
            raise Forbidden(_OVERLAP)
        return self._share(wish.subnet, wish.range or wish.subnet)

    def _has(self, wish: rules.Wish) -> bool:
        """Whether a network hands out this very part of this very subnet."""
        parts = (one.part for network in self._networks.values() for one in network.ranges)
        return any(wish.range is not None and part.overlaps(wish.range) for part in parts)

    def _share(self, block: Block, part: Block) -> _Range:
        addresses, sharers = self._subnets.get(block, (None, 0))
        addresses = addresses or Addresses(block)
        self._subnets[block] = (addresses, sharers + 1)
        return _Range(addresses, part)

    def _close(self, one: _Range) -> None:
        block = one.addresses.block
        addresses, sharers = self._subnets[block]
        if sharers > 1:
            for number in one.own:
                addresses.release(number)
            self._subnets[block] = (addresses, sharers - 1)
        else:
            del self._subnets[block]

    # Endpoints

    def take(
        self,
        network: str,
        *,
        ipv4: bool = True,
        ipv6: bool = False,
        wish4: str = "",
        wish6: str = "",
        before4: str = "",
        before6: str = "",
        mac: str = "",
    ) -> Lease:
        """Addresses for an endpoint, in the families that its network has and it wants.

        `wish4`, `wish6` are static addresses: InvalidArgument outside the network's subnets, Forbidden when
        in use. `before4`, `before6` is what it had the last time: it has it again if it is free. A `mac` is
        checked (Conflict when another endpoint of the network has it) or made up. Nothing is kept when it
        fails; Exhausted without a free address.
        """
        known = self._network(network)
        mac = hardware.read_mac(mac) if mac else _fresh_mac(known)
        if mac in known.macs:
            raise Conflict(f"MAC address {mac} is already in use on this network")
        first = second = ""
        try:
            if ipv4:
                first = self._one(known, network, 4, wish4, before4)
            if ipv6:
                second = self._one(known, network, 6, wish6, before6)
        except BaseException:
            _give_back(known, first)
            raise
        known.macs.add(mac)
        return Lease(ipv4=first, ipv6=second, mac=mac)

    def hold(self, network: str, lease: Lease) -> None:
        """Know an endpoint again, at a start; an address outside every subnet is not ours to know."""
        known = self._network(network)
        for text in (lease.ipv4, lease.ipv6):
            if not text:
                continue
            version, number = read_address(text.partition("/")[0])
            one = _range_of(known, version, number)
            if one is not None and not one.addresses.holds(number):
                one.addresses.take(number)
        if lease.mac:
            known.macs.add(lease.mac.lower())

    def free(self, network: str, lease: Lease) -> None:
        """Give an endpoint's addresses back; idempotent, also for a network that is gone."""
        known = self._networks.get(network)
        if known is None:
            return
        _give_back(known, lease.ipv4)
        _give_back(known, lease.ipv6)
        known.macs.discard(lease.mac.lower())

    def check_static(self, network: str, *addresses: str) -> None:
        """InvalidArgument, in Docker's words, for an address that no subnet of the network contains."""
        known = self._network(network)
        for text in addresses:
            if text and _range_of(known, *read_address(text)) is None:
                raise InvalidArgument(
                    f"invalid endpoint settings:\nno configured subnet contains IP address {text}"
                )

    def usage(self, network: str) -> dict[str, Usage]:
        """The figures of each subnet of a network, by its text."""
        return {
            str(one.addresses.block): Usage(
                in_use=len(one.addresses),
                available=one.part.size - one.addresses.used_in(one.part),
            )
            for one in self._network(network).ranges
        }

    def _network(self, network: str) -> _Network:
        try:
            return self._networks[network]
        except KeyError:
            raise NotFound(f"network {network} has no addresses") from None

    def _one(self, known: _Network, network: str, version: int, wish: str, before: str) -> str:
        ranges = [one for one in known.ranges if one.addresses.block.version == version]
        if wish:
            self.check_static(network, wish)
            return _take_very(known, wish)
        if before:
            family, number = read_address(before.partition("/")[0])
            one = _range_of(known, family, number)
            if one is not None and family == version and not one.addresses.holds(number):
                return _take_very(known, before.partition("/")[0])
        for one in ranges:
            number = one.addresses.next(one.part)
            if number != NO_NEXT:
                return _text(one, number)
        raise Exhausted(f"no available IPv{version} addresses on this network's address pools")


def _furnish(one: _Range, wish: rules.Wish, gateway: bool) -> Subnet:
    """Reserve gateway and auxiliary addresses of a new network; the subnet with all its values."""
    version = one.addresses.block.version
    chosen = wish.gateway
    if chosen is not None:
        _reserve(one, chosen, f"failed to allocate gateway ({address_text(chosen, version)})")
    elif gateway:
        # The first address of the range, not the next: a gateway is where people look for it.
        chosen = one.addresses.lowest(one.part)
        if chosen == NO_NEXT:
            raise Exhausted("failed to allocate gateway (): no available addresses on this pool")
        one.addresses.keep(chosen)
        one.own.append(chosen)
    auxiliary = {}
    for name, number in wish.auxiliary.items():
        auxiliary[name] = address_text(number, version)
        _reserve(one, number, f"failed to allocate secondary ip address ({name}:{auxiliary[name]})")
    return Subnet(
        subnet=str(one.addresses.block),
        gateway="" if chosen is None else address_text(chosen, version),
        range=str(wish.range) if wish.range is not None else "",
        auxiliary=auxiliary,
    )


def _reserve(one: _Range, number: int, trouble: str = "") -> None:
    if one.addresses.holds(number) and not trouble:
        return
    try:
        one.addresses.reserve(number)
    except Forbidden as error:
        raise Forbidden(f"{trouble}: {error.message}") from None
    one.own.append(number)


def _range_of(known: _Network, version: int, number: int) -> _Range | None:
    for one in known.ranges:
        if one.addresses.block.has(version, number):
            return one
    return None


def _take_very(known: _Network, text: str) -> str:
    version, number = read_address(text)
    one = _range_of(known, version, number)
    assert one is not None
    one.addresses.take(number)
    return _text(one, number)


def _text(one: _Range, number: int) -> str:
    block = one.addresses.block
    return f"{address_text(number, block.version)}/{block.length}"


def _give_back(known: _Network, text: str) -> None:
    if text:
        version, number = read_address(text.partition("/")[0])
        one = _range_of(known, version, number)
        if one is not None:
            one.addresses.free(number)


def _fresh_mac(known: _Network) -> str:
    while (mac := hardware.random_mac()) in known.macs:
        pass
    return mac
