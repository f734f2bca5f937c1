"""Marks by which links are known again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.kernel.netlink.links import Link
from lodge.network import naming


def link(alias: str) -> Link:
    return Link(1, "veth0", "veth", 0, 1500, "", 0, alias, 0, ())


def test_a_mark_is_read_by_its_own_instance_only() -> None:
    ours = link(naming.alias("0badcafe", naming.PORT, "abc"))
    assert naming.mark(ours, "0badcafe") == naming.Mark(naming.PORT, "abc")
    assert naming.mark(ours, "00000000") is None


@given(st.text(max_size=60))
def test_any_alias_of_others_is_no_mark(alias: str) -> None:
    if not alias.startswith("lodge:0badcafe:"):
        assert naming.mark(link(alias), "0badcafe") is None


def test_names_fit_the_kernel() -> None:
    names = {naming.random_name() for _ in range(100)}
    assert len(names) == 100
    assert all(len(name) <= 15 for name in names)


def test_a_bridge_keeps_its_hardware_address() -> None:
    mac = naming.bridge_mac("deadbeef00")
    assert mac == "02:42:de:ad:be:ef"
    assert naming.bridge_mac("ab") == "02:42:ab:00:00:00"


@pytest.mark.parametrize(
    ("mac", "address"),
    [("02:42:ac:11:00:02", "fe80::42:acff:fe11:2"), ("00:00:5e:00:53:01", "fe80::200:5eff:fe00:5301")],
)
def test_the_link_local_address_of_a_hardware_address(mac: str, address: str) -> None:
    assert str(naming.link_local(mac)) == address
