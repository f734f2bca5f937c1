"""Options of networks: Docker's words, ours, and the ones nobody knows."""

import pytest

from lodge.errors import InvalidArgument
from lodge.network import settings
from lodge.network.contract import Network


def network(driver: str = "bridge", **options: str) -> Network:
    spelled = {name.replace("__", "."): value for name, value in options.items()}
    return Network(id="ab12cd" + "0" * 58, name="n", driver=driver, link="br0", options=spelled)


def test_the_defaults_of_a_bridge() -> None:
    found = settings.bridge(network())
    assert found.icc
    assert found.masquerade
    assert found.antispoof
    assert (found.mode4, found.mode6, found.prefix, found.mtu, found.publish) == ("nat", "nat", "eth", 0, "")


def test_every_word_of_a_bridge() -> None:
    bridge = "com.docker.network.bridge."
    wanted = Network(
        id="a" * 64, name="n", driver="bridge", link="br0",
        options={
            bridge + "enable_icc": "false", bridge + "enable_ip_masquerade": "0",
            bridge + "host_binding_ipv4": "192.0.2.1", bridge + "gateway_mode_ipv4": "routed",
            bridge + "gateway_mode_ipv6": "isolated", bridge + "inhibit_ipv4": "True",
            bridge + "trusted_host_interfaces": "eth1:eth2", "com.docker.network.driver.mtu": "9000",
            "com.docker.network.container_iface_prefix": "net", "com.docker.network.host_ipv4": "192.0.2.9",
            "io.lodge.publish": "proxy", "io.lodge.antispoof": "off", "com.docker.compose.project": "x",
        },
    )  # fmt: skip
    settings.check_known(wanted)
    found = settings.bridge(wanted)
    assert not found.icc
    assert not found.masquerade
    assert not found.antispoof
    assert found.inhibit4
    assert (found.binding, found.mode4, found.mode6) == ("192.0.2.1", "routed", "isolated")
    assert (found.trusted, found.mtu, found.prefix) == (("eth1", "eth2"), 9000, "net")
    assert (found.source4, found.publish) == ("192.0.2.9", "proxy")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("com__docker__network__bridge__enable_icc", "perhaps"),
        ("com__docker__network__driver__mtu", "large"),
        ("com__docker__network__bridge__gateway_mode_ipv4", "teleport"),
        ("io__lodge__publish", "loudly"),
    ],
)
def test_values_that_mean_nothing_are_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidArgument, match=value):
        settings.bridge(network(**{name: value}))


def test_unknown_options_and_drivers_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="colour"):
        settings.check_known(network(colour="red"))
    with pytest.raises(InvalidArgument, match="parent"):
        settings.check_known(network(parent="eth0"))
    settings.check_known(network("macvlan", parent="eth0"))
    with pytest.raises(InvalidArgument, match="plugin weave"):
        settings.check_known(network("weave"))


@pytest.mark.parametrize(
    ("parent", "trunk", "tag"),
    [("eth0", "eth0", 0), ("eth0.10", "eth0", 10), ("eth0.4095", "eth0", 0), ("e.x", "e", 0)],
)
def test_a_parent_may_be_a_vlan(parent: str, trunk: str, tag: int) -> None:
    found = settings.parent(network("macvlan", parent=parent))
    assert (found.parent, found.trunk, found.tag, found.mode) == (parent, trunk, tag, "bridge")


def test_modes_of_macvlan_and_ipvlan() -> None:
    assert settings.parent(network("macvlan", macvlan_mode="vepa")).mode == "vepa"
    found = settings.parent(network("ipvlan", ipvlan_mode="l3s", ipvlan_flag="private"))
    assert (found.mode, found.flag) == ("l3s", "private")
    with pytest.raises(InvalidArgument):
        settings.parent(network("ipvlan", ipvlan_mode="l4"))


def test_a_tunnel() -> None:
    found = settings.tunnel(network("overlay", io__lodge__vxlan__peers="192.0.2.2,192.0.2.3"))
    assert found.peers == ("192.0.2.2", "192.0.2.3")
    assert (found.vni, found.port) == (0xAB12CD | 0x1000, 4789)
    named = settings.tunnel(network("overlay", com__docker__network__driver__overlay__vxlanid_list="4097"))
    assert named.vni == 4097
    with pytest.raises(InvalidArgument):
        settings.tunnel(network("overlay", encrypted="true"))
