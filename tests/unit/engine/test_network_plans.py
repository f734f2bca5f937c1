"""The pure parts: ports, links, order of interfaces, rates, places, settings of the default bridge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.engine.models import AddressRange, Network
from lodge.engine.networks import places, predefined
from lodge.engine.planning import links, ports, sandbox
from lodge.engine.settings import NetworkSettings, Settings
from lodge.errors import InvalidArgument
from lodge.network.contract import Port
from lodge.spec.container import EndpointIpam, EndpointSettings, PortBinding
from tests.unit.engine.hands import Nets
from tests.unit.engine.samples import wish


def binding(port: str = "", address: str = "") -> list[PortBinding]:
    return [PortBinding(host_port=port, host_ip=address)]


def test_ports_in_all_forms() -> None:
    asked = wish(
        port_bindings={
            "80/tcp": binding("8080"),
            "53/udp": binding("5300-5400", "127.0.0.1"),
            "90-91": binding(),
            "7/tcp": None,
        }
    )
    assert ports.wanted(asked) == (
        Port(container_port=53, protocol="udp", host_ip="127.0.0.1", host_port=5300, host_last=5400),
        Port(container_port=80, host_port=8080),
        Port(container_port=90),
        Port(container_port=91),
    )


def test_publish_all_takes_what_is_exposed_and_not_yet_published() -> None:
    asked = wish(
        config={"exposed_ports": {"80/tcp": {}, "81/udp": {}, "90-91/tcp": {}}},
        publish_all_ports=True,
        port_bindings={"80/tcp": binding("8080")},
    )
    found = [(one.container_port, one.protocol, one.host_port) for one in ports.wanted(asked)]
    assert found == [(80, "tcp", 8080), (81, "udp", 0), (90, "tcp", 0), (91, "tcp", 0)]


@pytest.mark.parametrize(("setting", "address"), [("", ""), ("0.0.0.0", ""), ("127.0.0.1", "127.0.0.1")])
def test_where_ports_are_bound_that_name_no_address(setting: str, address: str) -> None:
    asked = wish(port_bindings={"80/tcp": binding(), "81/tcp": binding("", "::1")})
    assert [one.host_ip for one in ports.wanted(asked, setting)] == [address, "::1"]


@pytest.mark.parametrize("text", ["", "x", "0/tcp", "65536", "90-80", "80/icmp", "80/tcp/udp"])
def test_what_no_port_is(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid port specification"):
        ports.read_port(text)


@given(
    st.lists(
        st.builds(
            Port,
            container_port=st.integers(1, 65535),
            protocol=st.sampled_from(["tcp", "udp", "sctp"]),
            host_ip=st.sampled_from(["0.0.0.0", "::", "127.0.0.1"]),
            host_port=st.integers(1, 65535),
        ),
        unique=True,
    )
)
def test_bound_ports_are_read_back_as_they_were(found: list[Port]) -> None:
    assert set(ports.as_ports(ports.bound(found))) == set(found)


def network(name: str, **given: Any) -> Network:
    return Network(id=name * 3, name=name, created_at=1, **given)


def test_the_order_of_interfaces() -> None:
    def place(name: str, priority: int = 0, **given: Any) -> sandbox.Place:
        return sandbox.Place(network=network(name, **given), endpoint=EndpointSettings(gw_priority=priority))

    found = sandbox.in_order(
        [
            place("z", internal=True, ipv6=True),
            place("c"),
            place("b"),
            place("d", ipv6=True),
            place("e", 7),
            place("a", -1, ipv6=True),
        ]
    )
    assert [each.network.name for each in found] == ["e", "d", "b", "c", "a", "z"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("db", ("db", "db")), ("db:x", ("db", "x")), ("/db:/box/x", ("db", "x"))],
)
def test_links(text: str, found: tuple[str, str]) -> None:
    assert sandbox.read_link(text) == found


@pytest.mark.parametrize("text", ["", ":x", "db:", "a:b:c"])
def test_what_no_link_is(text: str) -> None:
    with pytest.raises(InvalidArgument, match="bad format for links"):
        sandbox.read_link(text)


@pytest.mark.parametrize(
    ("text", "bits"),
    [("0", 0), ("500", 500), ("10k", 10_000), ("1.5mbit", 1_500_000), ("2Gbps", 2_000_000_000)],
)
def test_rates(text: str, bits: int) -> None:
    assert sandbox.read_rate(text) == bits


def test_sysctls_of_an_endpoint() -> None:
    text = "net.ipv4.conf.IFNAME.forwarding=1,net.ipv6.conf.IFNAME.accept_ra=0"
    assert sandbox.endpoint_sysctls(text)["net.ipv6.conf.IFNAME.accept_ra"] == "0"
    for bad in ("net.ipv4.conf.eth0.forwarding=1", "kernel.shmmax=1", "net.ipv4.conf.IFNAME.forwarding"):
        with pytest.raises(InvalidArgument, match="invalid endpoint sysctl setting"):
            sandbox.endpoint_sysctls(bad)


def test_variables_of_a_link() -> None:
    other = wish(
        config={
            "exposed_ports": {"5432/tcp": {}, "80-81/tcp": {}, "53/udp": {}},
            "env": ["PGUSER=me", "PATH=/bin", "HOME=/root"],
        }
    )
    found = dict(text.split("=", 1) for text in links.variables("box", "my-db", "10.0.0.2", other))
    assert found["MY_DB_PORT"] == "tcp://10.0.0.2:80"
    assert found["MY_DB_PORT_5432_TCP_ADDR"] == "10.0.0.2"
    assert found["MY_DB_PORT_53_UDP_PROTO"] == "udp"
    assert found["MY_DB_PORT_80_TCP_START"] == "tcp://10.0.0.2:80"
    assert found["MY_DB_PORT_80_TCP_PORT_END"] == "81"
    assert (found["MY_DB_NAME"], found["MY_DB_ENV_PGUSER"]) == ("/box/my-db", "me")
    assert not {"MY_DB_ENV_PATH", "MY_DB_ENV_HOME"} & set(found)


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        (
            "bridge",
            EndpointSettings(ipam_config=EndpointIpam(ipv4_address="172.17.0.9"), aliases=["x"]),
            (
                "* user specified IP address is supported on user defined networks only\n"
                "* network-scoped aliases are only supported for user-defined networks\n"
                "* user specified IP address is supported only when connecting to networks with user"
                " configured subnets"
            ),
        ),
        (
            "mine",
            EndpointSettings(ipam_config=EndpointIpam(ipv4_address="10.9.0.1")),
            "no configured subnet or ip-range contain the IP address 10.9.0.1",
        ),
        (
            "mine",
            EndpointSettings(ipam_config=EndpointIpam(ipv4_address="x", link_local_ips=["y"])),
            (
                "* invalid IPv4 address: x\n* invalid link-local IP address: y\n"
                "* no configured subnet or ip-range contain the IP address x"
            ),
        ),
        ("mine", EndpointSettings(mac_address="zz"), "invalid MAC address: zz"),
    ],
)
def test_endpoint_settings_that_can_not_be(name: str, asked: EndpointSettings, words: str) -> None:
    known = network(name, asked=[AddressRange(subnet="10.1.0.0/16")])
    with pytest.raises(InvalidArgument) as caught:
        places.check(asked, known, name)
    assert caught.value.message == f"invalid endpoint settings:\n{words}"


def test_places_of_a_wish(tmp_path: Path) -> None:
    nets = Nets(tmp_path)
    nets.book.save(network("mine", asked=[AddressRange(subnet="10.1.0.0/16")]))

    def settled(mode: str, **endpoints: EndpointSettings | None) -> list[str]:
        asked = wish(network_mode=mode)
        asked.networking.endpoints_config = dict(endpoints)
        return list(places.settle(nets.book, asked))

    assert settled("default") == ["bridge"]
    assert settled("minemi") == ["mine"]
    assert settled("mine", minemine=EndpointSettings()) == ["mine"]
    assert settled("bridge", mine=None) == ["mine"]
    assert settled("nowhere") == ["nowhere"]
    assert settled("container:x") == []
    assert settled("none") == ["none"]
    with pytest.raises(InvalidArgument, match="invalid config for network mine: invalid endpoint settings:"):
        settled("mine", mine=EndpointSettings(mac_address="x"))
    with pytest.raises(InvalidArgument, match="is specified multiple times"):
        settled("mine", mine=None, minemine=None)
    with pytest.raises(InvalidArgument, match="cannot attach both user-defined and non-user-defined"):
        settled("none", none=None, mine=None)
    nets.close()


def test_the_default_bridges_link() -> None:
    assert predefined.default_link(Settings()) == "lodge0"
    assert predefined.default_link(Settings(network=NetworkSettings(bridge="br9"))) == "br9"
    other = predefined.default_link(Settings(data_root="/srv/lodge"))
    assert other.startswith("lodge-")
    assert len(other) <= 15
