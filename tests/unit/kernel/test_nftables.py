"""Rulesets as text and as bytes."""

import struct
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.kernel.netlink import wire
from lodge.kernel.nftables import batch as b
from lodge.kernel.nftables import expressions as x
from lodge.kernel.nftables import types
from lodge.kernel.nftables.ruleset import Base, Chain, Element, Range, Set, Table, ranges, render
from lodge.kernel.nftables.watch import removed_from

PORTS = Set(
    "ports", (types.PROTOCOL, types.SERVICE), (types.IPV4, types.SERVICE),
    (Element(("tcp", 80), ("10.0.0.2", 8080)),),
)  # fmt: skip
TABLE = Table(
    "inet", "t",
    (
        PORTS,
        Set("names", (types.IFINDEX,)),
        Set("kept", (types.IPV4,), intervals=(Range("10.0.0.0", "10.0.0.255"),)),
    ),
    (
        Chain("into", None, ((x.DROP,),)),
        Chain("nat", Base("nat", "prerouting", -100), (
            (x.to_this_host(), x.dnat_by_map("ports", x.NFPROTO_IPV4, x.L4PROTO, x.DPORT)),
            (x.member("names", x.IIF, absent=True), x.jump("into")),
        )),
    ),
)  # fmt: skip


def requests(batch: b.Batch) -> list[wire.Answer]:
    return list(wire.messages(batch.pack()[0]))


def test_the_text_is_that_of_nft() -> None:
    assert render(TABLE).split("\n") == [
        "table inet t {",
        "\tmap ports {",
        "\t\ttype inet_proto . inet_service : ipv4_addr . inet_service",
        "\t\telements = { tcp . 80 : 10.0.0.2 . 8080 }",
        "\t}",
        "\tset names {",
        "\t\ttype iface_index",
        "\t}",
        "\tset kept {",
        "\t\ttype ipv4_addr",
        "\t\tflags interval",
        "\t\telements = { 10.0.0.0-10.0.0.255 }",
        "\t}",
        "\tchain into {",
        "\t\tdrop",
        "\t}",
        "\tchain nat {",
        "\t\ttype nat hook prerouting priority -100; policy accept;",
        "\t\tfib daddr type local dnat ip to meta l4proto . th dport map @ports",
        "\t\tmeta iif != @names jump into",
        "\t}",
        "}",
    ]


def test_a_transaction_is_framed_and_only_its_last_request_is_acknowledged() -> None:
    packed, last = b.Batch().replace_table(TABLE).pack()
    found = list(wire.messages(packed))
    assert (found[0].kind, found[-1].kind) == (0x10, 0x11)
    assert [message.sequence for message in found] == list(range(1, len(found) + 1))
    assert [m.sequence for m in found if m.flags & wire.NLM_F_ACK] == [last]
    kinds = [message.kind & 0xFF for message in found[1:-1]]
    assert kinds[:3] == [b.NEWTABLE, b.DELTABLE, b.NEWTABLE]
    assert kinds.index(b.NEWRULE) > max(n for n, kind in enumerate(kinds) if kind == b.NEWCHAIN)


def test_an_element_has_its_fields_at_multiples_of_four() -> None:
    message = requests(b.Batch().add("inet", "t", PORTS, PORTS.elements))[1]
    listed = wire.by_type(wire.by_type(message.body, 4)[3])[1]
    element = wire.by_type(listed)
    assert wire.by_type(element[1])[1] == bytes([6, 0, 0, 0]) + struct.pack(">H", 80) + b"\0\0"
    assert wire.by_type(element[2])[1] == bytes([10, 0, 0, 2]) + struct.pack(">H", 8080) + b"\0\0"


def test_an_element_is_removed_by_its_key() -> None:
    message = requests(b.Batch().remove("inet", "t", PORTS, PORTS.elements))[1]
    listed = wire.by_type(wire.by_type(message.body, 4)[3])[1]
    assert list(wire.by_type(listed)) == [1]


def test_intervals_end_after_their_last_address() -> None:
    whole = Set(
        "s", (types.IPV4,), intervals=(Range("10.0.0.0", "10.0.0.255"), Range("255.0.0.0", "255.255.255.255"))
    )
    message = requests(b.Batch().refill("inet", "t", whole))[2]
    keys = [
        (wire.by_type(wire.by_type(element)[1])[1], 3 in wire.by_type(element))
        for _, element in wire.attributes(wire.by_type(message.body, 4)[3])
    ]
    assert keys == [
        (bytes([10, 0, 0, 0]), False),
        (bytes([10, 0, 1, 0]), True),
        (bytes([255, 0, 0, 0]), False),  # after the last address there is none
    ]


def test_many_elements_are_several_requests() -> None:
    many = [Element((n,)) for n in range(1200)]
    names = Set("names", (types.IFINDEX,))
    assert len(requests(b.Batch().add("inet", "t", names, many))) == 2 + 3


def test_an_empty_batch_asks_for_nothing() -> None:
    assert len(b.Batch().add("inet", "t", PORTS, ())) == 0


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(16, 32)), max_size=12))
def test_ranges_hold_what_the_prefixes_hold(parts: list[tuple[int, int]]) -> None:
    prefixes = [ip_network((10 << 24 | third << 8, length), strict=False) for third, length in parts]
    found = ranges(str(prefix) for prefix in prefixes)
    held = {int(a) for p in prefixes for a in (p[0], p[-1])}
    spans = [(int(ip_network(r.first)[0]), int(ip_network(r.last)[0])) for r in found]
    assert all(any(low <= address <= high for low, high in spans) for address in held)
    assert all(spans[n][1] + 1 < spans[n + 1][0] for n in range(len(spans) - 1))


@given(st.ip_addresses(), st.integers(0, 65535))
def test_values_have_their_lengths(address: object, port: int) -> None:
    kind = types.IPV4 if ":" not in str(address) else types.IPV6
    both = (kind, types.SERVICE)
    assert len(types.encode(both, (str(address), port))) == types.length(both)


def test_values_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="appear to be"):
        types.encode((types.IPV4,), ("10.0.0",))
    with pytest.raises(KeyError):
        types.encode((types.PROTOCOL,), ("carrier pigeon",))


def test_notices_tell_whose_table_lost_something() -> None:
    def notice(kind: int) -> wire.Answer:
        return wire.Answer(10 << 8 | kind, 0, 1, b.header(1) + wire.text(1, "t"))

    assert removed_from(notice(b.DELTABLE)) == ("inet", "t")
    assert removed_from(notice(b.DELSETELEM)) == ("inet", "t")
    assert removed_from(notice(b.NEWRULE)) is None
