"""Requests that dress an interface, sysctls of an endpoint, counters."""

import pytest

from lodge.errors import InvalidArgument
from lodge.kernel.netlink import links, routes, wire
from lodge.kernel.netlink.links import Link
from lodge.network.contract import Endpoint
from lodge.network.space import counters, dress, endpoint_sysctls

ENDPOINT = Endpoint(
    id="e", network="n", mac="02:42:0a:01:00:02", ipv4="10.1.0.2/16", ipv6="fd00::2/64", gateway4="10.1.0.1"
)


def test_addresses_come_before_the_hardware_address_and_routes_last() -> None:
    requests = dress(ENDPOINT, 5)
    kinds = [request.kind for request in requests]
    assert kinds == [links.RTM_NEWLINK, *[routes.RTM_NEWADDR] * 3, links.RTM_NEWLINK, routes.RTM_NEWROUTE]
    assert links.IFLA_ADDRESS in wire.by_type(requests[4].body, 16)


def test_a_gateway_outside_of_a_subnet_of_one_gets_a_route_of_its_own() -> None:
    alone = Endpoint(id="e", network="n", mac="", ipv4="10.1.0.2/32", gateway4="192.0.2.1")
    found = [
        routes.parse_route(wire.Answer(24, 0, 0, r.body))
        for r in dress(alone, 5)
        if r.kind == routes.RTM_NEWROUTE
    ]
    assert found == [routes.Route("192.0.2.1/32", 5, ""), routes.Route("0.0.0.0/0", 5, "192.0.2.1")]


def test_sysctls_of_an_endpoint_name_its_interface() -> None:
    def of(key: str) -> dict[str, str]:
        return endpoint_sysctls(Endpoint(id="e", network="n", mac="", sysctls={key: "1"}), "eth1")

    assert of("net.ipv4.conf.IFNAME.forwarding") == {"ipv4/conf/eth1/forwarding": "1"}
    for key in ("net.ipv4.ip_forward", "kernel.IFNAME.x", "net.ipv4.conf.eth0.forwarding"):
        with pytest.raises(InvalidArgument):
            of(key)


def test_counters_are_named_as_docker_names_them() -> None:
    link = Link(2, "eth0", "veth", 1, 1500, "", 0, "", 0, tuple(range(1, 25)))
    found = counters(link)
    assert (found.rx_packets, found.tx_packets, found.rx_bytes, found.tx_bytes) == (1, 2, 3, 4)
    assert (found.rx_errors, found.tx_errors, found.rx_dropped, found.tx_dropped) == (5, 6, 7, 8)
