"""What each fact adds to the rules, and the order of the rules that never change."""

from collections import Counter

from lodge.kernel.nftables.ruleset import Range, element_words, render
from lodge.network.firewall import plan
from lodge.network.firewall.facts import Bond, Fact, Guest, Muted, Opening, Side

NAT = Side(index=7, masquerade4=True, prefixes4=("10.1.0.0/16",), prefixes6=("fd00::/64",))


def items(fact: Fact) -> set[str]:
    return {f"{item.set}: {element_words(item.element)}" for item in plan.items(fact)}


def text(*facts: Fact) -> str:
    held = Counter(item for fact in facts for item in plan.items(fact))
    sides = [fact for fact in facts if isinstance(fact, Side)]
    return "\n".join(map(render, plan.tables("lodge-0", held, sides)))


def chain(name: str, table: int = 0) -> list[str]:
    rendered = render(plan.tables("lodge-0", Counter(), ())[table])
    lines = rendered.split(f"\tchain {name} {{\n")[1].split("\n\t}")[0].split("\n")
    return [line.strip() for line in lines if not line.strip().startswith("type ")]


def test_a_plain_bridge() -> None:
    assert items(NAT) == {
        "bridges: 7",
        "pairs: 7 . 7",
        "together: 7 . 7",
        "masquerade4: 7",
        "home4: 7 . 10.1.0.0/16",
        "home6: 7 . fd00::/64",
    }


def test_a_strict_bridge() -> None:
    strict = Side(index=7, internal=True, icc=False, trusted=(3,))
    assert items(strict) == {"bridges: 7", "internal: 7", "pairs: 7 . 7", "trusted: 3 . 7"}


def test_gateway_modes_are_of_one_family_each() -> None:
    mixed = Side(index=7, mode4="routed", mode6="nat-unprotected", source4="192.0.2.9")
    assert items(mixed) >= {"routed4: 7", "open6: 7", "source4: 7 : 192.0.2.9"}
    assert not items(mixed) & {"routed6: 7", "open4: 7"}


def test_a_guest_owns_its_addresses() -> None:
    guest = Guest(index=9, mac="02:42:0a:01:00:02", ipv4="10.1.0.2", ipv6="fd00::2")
    assert items(guest) == {
        "guarded: 9",
        "own_mac: 9 . 02:42:0a:01:00:02",
        "macs: 02:42:0a:01:00:02",
        "own4: 9 . 10.1.0.2",
        "own6: 9 . fd00::2",
    }
    assert items(Guest(index=9, mac="02:42:0a:01:00:02", guarded=False, apart=True)) == {"apart: 9"}
    assert items(Muted(index=9)) == {"muted: 9"}


def test_a_port_of_every_address_and_of_one() -> None:
    every = Opening(version=4, protocol="tcp", host="", host_port=80, target="10.1.0.2", target_port=8080)
    assert items(every) == {"any4: tcp . 80 : 10.1.0.2 . 8080"}
    one = Opening(
        version=6, protocol="udp", host="2001:db8::1", host_port=53, target="fd00::2", target_port=53
    )
    assert items(one) == {"ports6: 2001:db8::1 . udp . 53 : fd00::2 . 53"}


def test_a_port_of_loopback_is_kept_from_the_world_also_behind_a_proxy() -> None:
    values = {"version": 4, "protocol": "tcp", "host": "127.0.0.1", "host_port": 80}
    target = {"target": "10.1.0.2", "target_port": 80}
    assert items(Opening(**values, **target)) == {  # type: ignore[arg-type]
        "ports4: 127.0.0.1 . tcp . 80 : 10.1.0.2 . 80",
        "loopback: 127.0.0.1 . tcp . 80",
    }
    assert items(Opening(**values, **target, kernel=False)) == {"loopback: 127.0.0.1 . tcp . 80"}  # type: ignore[arg-type]


def test_a_bond_goes_both_ways() -> None:
    assert items(Bond(first="10.1.0.2", second="10.1.0.3")) == {
        "bonds4: 10.1.0.2 . 10.1.0.3",
        "bonds4: 10.1.0.3 . 10.1.0.2",
        "linked4: 10.1.0.2 . 10.1.0.3",
        "linked4: 10.1.0.3 . 10.1.0.2",
    }


def test_the_way_of_a_forwarded_packet() -> None:
    assert chain("forward") == [
        "meta iif . meta oif @together accept",
        "meta iif @internal drop",
        "meta oif @internal drop",
        "meta iif @bridges fib saddr . iif oif 0 drop",
        "ct state established,related accept",
        "meta oif @bridges jump into",
    ]
    assert chain("into")[0] == "ct status dnat accept"
    assert chain("into")[-1] == "drop"


def test_what_reaches_the_host() -> None:
    assert chain("raw") == [
        "meta iif @bridges meta nfproto ipv4 ip daddr 127.0.0.0/8 drop",
        'meta iif != "lo" meta nfproto ipv4 ip daddr . meta l4proto . th dport @loopback drop',
    ]
    assert chain("input") == [
        "meta iif @bridges fib saddr . iif oif 0 drop",
        "meta iif @internal fib daddr . iif type unicast drop",
        "meta iif @bridges meta l4proto tcp th dport @closed drop",
    ]


def test_a_muted_port_says_nothing_at_all() -> None:
    assert chain("prerouting", 1) == ["meta iif @muted drop", "meta iif @guarded jump guard"]


def test_addresses_of_all_networks_are_kept() -> None:
    other = Side(index=8, prefixes4=("10.2.0.0/16", "192.168.5.0/24"))
    kept4, kept6 = plan.kept([NAT, other])
    assert kept4 == (Range("10.1.0.0", "10.2.255.255"), Range("192.168.5.0", "192.168.5.255"))
    assert kept6 == (Range("fd00::", "fd00::ffff:ffff:ffff:ffff"),)


def test_the_size_of_the_chains_does_not_depend_on_guests() -> None:
    guests = [Guest(index=n, mac=f"02:42:0a:01:00:{n:02x}", ipv4=f"10.1.0.{n}") for n in range(2, 90)]
    few, many = text(NAT), text(NAT, *guests)
    assert few.count("\n\t\t") - few.count("elements") == many.count("\n\t\t") - many.count("elements")
