"""The ledger of addresses between the engine's rows and the network room's values.

Imported when a network is first needed: it brings the network room with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from lodge.engine.census import Census
from lodge.engine.models import AddressRange, Network
from lodge.engine.networks import predefined
from lodge.engine.networks.book import Book
from lodge.engine.planning.sandbox import subnet_value
from lodge.engine.settings import Settings
from lodge.network.addresses import Lease, Ledger, Pool, SubnetWish
from lodge.spec.container import EndpointSettings


def open_ledger(
    settings: Settings, book: Book, census: Census, taken: Sequence[str], *, down: bool
) -> Ledger:
    """The ledger as rows have it: all networks, all addresses of living containers.

    When this engine's links were `down`, others may have taken the default bridge's subnet meanwhile: one
    that was chosen is chosen anew then.
    """
    pools = [Pool(base=one.base, size=one.size) for one in settings.network.pools]
    ledger = Ledger(pools, predefined.instance(settings))
    bridge = book.named(predefined.BRIDGE)
    if bridge is not None and down and not bridge.asked and _overlaps(bridge, taken):
        bridge.subnets = []
    for network in book:
        if network.subnets:
            ledger.restore(network.id, [subnet_value(one) for one in network.subnets])
    if bridge is not None and not bridge.subnets:
        resolve(bridge, ledger, taken)
        book.save(bridge)
    for each in census:
        for endpoint in each.container.networks.values():
            known = book.by_id(endpoint.network_id) if endpoint.endpoint_id else None
            if known is not None and known.subnets:
                ledger.hold(known.id, lease_of(endpoint))
    return ledger


def _overlaps(network: Network, taken: Sequence[str]) -> bool:
    """Whether others use addresses of a network."""
    own = [ip_network(one.subnet) for one in network.subnets]
    others = [ip_network(text, strict=False) for text in taken]
    return any(one.version == other.version and one.overlaps(other) for one in own for other in others)


def resolve(network: Network, ledger: Ledger, taken: Sequence[str]) -> None:
    """Give a network its subnets; Forbidden or InvalidArgument in Docker's words."""
    found = ledger.create(
        network.id,
        [
            SubnetWish(subnet=one.subnet, range=one.range, gateway=one.gateway, auxiliary=one.auxiliary or {})
            for one in network.asked
        ],
        ipv4=network.ipv4,
        ipv6=network.ipv6,
        taken=taken,
    )
    network.subnets = [
        AddressRange(
            subnet=one.subnet, range=one.range, gateway=one.gateway, auxiliary=dict(one.auxiliary) or None
        )
        for one in found
    ]


def lease_of(endpoint: EndpointSettings) -> Lease:
    """What an endpoint has now, as the ledger knows it."""
    return Lease(
        ipv4=f"{endpoint.ip_address}/{endpoint.ip_prefix_len}" if endpoint.ip_address else "",
        ipv6=f"{endpoint.global_ipv6_address}/{endpoint.global_ipv6_prefix_len}"
        if endpoint.global_ipv6_address
        else "",
        mac=endpoint.mac_address,
    )


def occupy(ledger: Ledger, network: Network, endpoint: EndpointSettings, asked: EndpointSettings) -> None:
    """Give an endpoint its addresses and gateways; the ledger's errors, and then nothing is taken."""
    ipam = asked.ipam_config
    lease = ledger.take(
        network.id,
        ipv4=network.ipv4,
        ipv6=network.ipv6,
        wish4=ipam.ipv4_address if ipam is not None else "",
        wish6=ipam.ipv6_address if ipam is not None else "",
        mac=asked.mac_address,
    )
    endpoint.mac_address = lease.mac
    address, _, length = lease.ipv4.partition("/")
    endpoint.ip_address, endpoint.ip_prefix_len = address, int(length or 0)
    address, _, length = lease.ipv6.partition("/")
    endpoint.global_ipv6_address, endpoint.global_ipv6_prefix_len = address, int(length or 0)
    endpoint.gateway = _gateway(network, endpoint.ip_address)
    endpoint.ipv6_gateway = _gateway(network, endpoint.global_ipv6_address)


def _gateway(network: Network, address: str) -> str:
    """The gateway of the subnet that an address lies in; "" for none."""
    if not address:
        return ""
    fitting = [one for one in network.subnets if (":" in one.subnet) == (":" in address)]
    if len(fitting) > 1:
        fitting = [one for one in fitting if ip_address(address) in ip_network(one.subnet)]
    return fitting[0].gateway if fitting else ""


def vacate(ledger: Ledger, network_id: str, endpoint: EndpointSettings) -> None:
    """Give an endpoint's addresses back; idempotent."""
    ledger.free(network_id, lease_of(endpoint))
