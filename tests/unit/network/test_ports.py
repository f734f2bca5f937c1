"""Which addresses and targets a published port means, and the sockets that keep it."""

import socket
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from lodge.errors import Conflict, InvalidArgument
from lodge.network import ports, settings
from lodge.network.contract import Endpoint, Network, Port
from lodge.network.settings import BridgeSettings

OPTIONS = settings.bridge(Network(id="a" * 64, name="n", driver="bridge", link="br"))
FOUR = Endpoint(id="e", network="n", mac="", ipv4="10.1.0.2/16", gateway4="10.1.0.1")
BOTH = replace(FOUR, ipv6="fd00::2/64", gateway6="fd00::1")
WEB = Port(container_port=80, host_port=8080)


def plan(
    port: Port,
    endpoint: Endpoint = FOUR,
    *,
    proxy: bool = True,
    kernel: bool = True,
    options: BridgeSettings = OPTIONS,
) -> list[tuple[str, str, bool]]:
    endpoint6 = endpoint if endpoint.ipv6 else None
    found = ports.plan([port], endpoint, endpoint6, options, proxy=proxy, kernel=kernel, ipv6_host=True)
    return [(binding.key, binding.target, binding.kernel) for binding in found]


def test_a_port_of_every_address() -> None:
    assert plan(WEB, BOTH) == [("tcp/0.0.0.0:8080", "10.1.0.2", True), ("tcp/[::]:8080", "fd00::2", True)]
    assert plan(WEB) == [("tcp/0.0.0.0:8080", "10.1.0.2", True), ("tcp/[::]:8080", "10.1.0.2", False)]
    assert plan(WEB, proxy=False) == [("tcp/0.0.0.0:8080", "10.1.0.2", True)]
    assert plan(WEB, kernel=False)[0] == ("tcp/0.0.0.0:8080", "10.1.0.2", False)


def test_a_port_of_one_address() -> None:
    assert plan(replace(WEB, host_ip="127.0.0.1"), BOTH) == [("tcp/127.0.0.1:8080", "10.1.0.2", True)]
    assert plan(replace(WEB, host_ip="::1")) == [("tcp/[::1]:8080", "10.1.0.2", False)]
    with pytest.raises(InvalidArgument):
        plan(replace(WEB, host_ip="localhost"))


def test_the_networks_default_address_and_routed_networks() -> None:
    assert plan(WEB, BOTH, options=replace(OPTIONS, binding="192.0.2.1")) == [
        ("tcp/192.0.2.1:8080", "10.1.0.2", True)
    ]
    assert plan(WEB, BOTH, options=replace(OPTIONS, mode4="routed")) == [("tcp/[::]:8080", "fd00::2", True)]


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


def reserve(*wishes: Port, ours: tuple[str, ...] = ()) -> list[int]:
    found = ports.plan(wishes, FOUR, None, OPTIONS, proxy=True, kernel=True, ipv6_host=False)
    reserved = ports.reserve(found, ours)
    ports.close(reserved)
    return [each.binding.port.host_port for each in reserved]


def test_a_port_that_somebody_has(taken: int) -> None:
    wish = Port(container_port=80, host_ip="127.0.0.1", host_port=taken)
    with pytest.raises(Conflict) as caught:
        reserve(wish)
    assert caught.value.message == f"failed to bind host port 127.0.0.1:{taken}/tcp: address already in use"
    with pytest.raises(Conflict, match="port is already allocated"):
        reserve(wish, ours=(f"tcp/127.0.0.1:{taken}",))


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(Conflict, match=r"198\.51\.100\.1:8080/tcp: cannot assign requested address"):
        reserve(Port(container_port=80, host_ip="198.51.100.1", host_port=8080))


def test_the_same_wish_twice_is_a_conflict_and_leaves_no_socket(taken: int) -> None:
    wish = Port(container_port=80, host_ip="127.0.0.2", host_port=taken)
    with pytest.raises(Conflict):
        reserve(wish, replace(wish, container_port=81))
    assert reserve(wish) == [taken]


def test_ranges_and_free_ports(taken: int) -> None:
    wish = Port(container_port=80, host_ip="127.0.0.1", host_port=taken, host_last=min(taken + 20, 65535))
    assert taken < reserve(wish)[0] <= taken + 20
    with pytest.raises(Conflict):
        reserve(replace(wish, host_last=taken))
    assert reserve(Port(container_port=80, host_ip="127.0.0.1"))[0] > 1023


def test_both_families_of_a_free_port_have_one_number() -> None:
    found = ports.plan(
        [Port(container_port=80)], BOTH, BOTH, OPTIONS, proxy=True, kernel=True, ipv6_host=True
    )
    try:
        reserved = ports.reserve(found, ())
    except OSError:
        pytest.skip("this host has no IPv6")
    ports.close(reserved)
    assert len({each.binding.port.host_port for each in reserved}) == 1


def test_a_wish_that_is_met_already_keeps_its_port() -> None:
    def bind(port: Port) -> ports.Binding:
        return ports.plan([port], FOUR, None, OPTIONS, proxy=True, kernel=True, ipv6_host=False)[0]

    held = [bind(Port(container_port=80, host_ip="0.0.0.0", host_port=34567))]
    assert ports.keep(bind(Port(container_port=80)), held).key == "tcp/0.0.0.0:34567"
    assert (
        ports.keep(bind(Port(container_port=80, host_port=34000, host_last=35000)), held).key == held[0].key
    )
    assert (
        ports.keep(bind(Port(container_port=80, host_port=34000, host_last=34100)), held).key != held[0].key
    )
    assert ports.keep(bind(Port(container_port=81)), held).key == "tcp/0.0.0.0:0"
    assert ports.keep(bind(Port(container_port=80, host_port=9)), held).key == "tcp/0.0.0.0:9"
