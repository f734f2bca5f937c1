import ipaddress
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lodge.errors import Conflict, Exhausted, Forbidden, InvalidArgument, NotFound
from lodge.network.addresses import DEFAULT_POOLS, Lease, Ledger, Pool, SubnetWish, hardware, pools, ranges
from lodge.network.contract import Subnet


def subnets(ledger: Ledger, name: str, *wishes: SubnetWish, **options: object) -> list[str]:
    return [one.subnet for one in ledger.create(name, wishes, **options)]  # type: ignore[arg-type]


def test_networks_get_dockers_default_pools_in_order() -> None:
    ledger = Ledger()
    found = [subnets(ledger, str(number))[0] for number in range(31)]
    assert found[:15] == [f"172.{number}.0.0/16" for number in range(17, 32)]
    assert found[15:17] == ["192.168.0.0/20", "192.168.16.0/20"]
    assert found[30] == "192.168.240.0/20"
    with pytest.raises(InvalidArgument, match="all predefined address pools have been fully subnetted"):
        ledger.create("one too many")


def test_a_removed_network_gives_its_subnet_back() -> None:
    ledger = Ledger()
    for name in "abc":
        ledger.create(name)
    ledger.remove("b")
    ledger.remove("b")
    assert subnets(ledger, "d") == ["172.18.0.0/16"]


def test_what_the_host_uses_is_not_chosen_but_may_be_named() -> None:
    ledger = Ledger()
    taken = ["172.16.0.0/15", "172.18.7.0/24", "172.20.0.0/16"]
    assert subnets(ledger, "a", taken=taken) == ["172.19.0.0/16"]
    assert subnets(ledger, "b", taken=taken) == ["172.21.0.0/16"]
    assert subnets(ledger, "c", SubnetWish(subnet="172.18.0.0/16"), taken=taken) == ["172.18.0.0/16"]


def test_overlaps_are_refused_in_dockers_words() -> None:
    ledger = Ledger()
    ledger.create("a", [SubnetWish(subnet="10.1.0.0/16")])
    for subnet in ("10.1.0.0/16", "10.1.2.0/24", "10.0.0.0/8"):
        with pytest.raises(Forbidden) as caught:
            ledger.create("b", [SubnetWish(subnet=subnet)])
        assert caught.value.message == (
            "invalid pool request: Pool overlaps with other one on this address space"
        )
    assert subnets(ledger, "b", SubnetWish(subnet="10.2.0.0/16")) == ["10.2.0.0/16"]


def test_a_failure_leaves_nothing_behind() -> None:
    ledger = Ledger()
    wishes = [SubnetWish(subnet="10.1.0.0/16"), SubnetWish(subnet="10.1.4.0/24")]
    with pytest.raises(Forbidden):
        ledger.create("a", wishes)
    assert subnets(ledger, "b", wishes[0]) == ["10.1.0.0/16"]
    with pytest.raises(NotFound):
        ledger.take("a")


def test_two_networks_may_share_a_subnet_in_different_ranges() -> None:
    ledger = Ledger()
    first = SubnetWish(subnet="10.1.0.0/16", range="10.1.1.0/24", gateway="10.1.0.1")
    second = SubnetWish(subnet="10.1.0.0/16", range="10.1.2.0/24")
    ledger.create("a", [first])
    assert ledger.create("b", [second])[0].gateway == "10.1.2.0"
    with pytest.raises(Forbidden, match="overlaps"):
        ledger.create("c", [second])
    held = ledger.take("a", wish4="10.1.9.9")
    with pytest.raises(Forbidden, match="Address already in use"):
        ledger.take("b", wish4="10.1.9.9")
    ledger.remove("b")
    ledger.free("a", held)
    assert ledger.take("a", wish4="10.1.2.0").ipv4 == "10.1.2.0/16"


def test_a_size_may_be_wished_for() -> None:
    ledger = Ledger()
    assert subnets(ledger, "a", SubnetWish(subnet="0.0.0.0/24")) == ["172.17.0.0/24"]
    assert subnets(ledger, "b", SubnetWish(subnet="0.0.0.0/24")) == ["172.17.1.0/24"]
    assert subnets(ledger, "c") == ["172.18.0.0/16"]
    with pytest.raises(InvalidArgument, match="invalid address pool"):
        ledger.create("d", [SubnetWish(subnet="0.0.0.0/8")])


def test_ipv6_is_a_ula_of_the_host() -> None:
    one, other = Ledger(host="one"), Ledger(host="other")
    first = ipaddress.ip_network(subnets(one, "a", ipv4=False, ipv6=True)[0])
    assert first.prefixlen == 64
    assert first.subnet_of(ipaddress.ip_network("fd00::/8"))  # type: ignore[arg-type]
    assert str(first) == subnets(Ledger(host="one"), "a", ipv4=False, ipv6=True)[0]
    assert str(first) != subnets(other, "a", ipv4=False, ipv6=True)[0]
    assert len(subnets(one, "b", ipv6=True)) == 2


def test_pools_of_the_daemons_setting() -> None:
    ledger = Ledger([Pool(base="10.9.0.0/23", size=24), Pool(base="fd01::/63", size=64)])
    assert subnets(ledger, "a", ipv6=True) == ["10.9.0.0/24", "fd01::/64"]
    assert subnets(ledger, "b", ipv6=True) == ["10.9.1.0/24", "fd01:0:0:1::/64"]
    with pytest.raises(InvalidArgument, match="fully subnetted"):
        ledger.create("c")


@pytest.mark.parametrize(
    ("base", "size", "words"),
    [
        ("10.0.0.0/16", 8, "has a smaller prefix"),
        ("10.0.0.0/16", 33, "canonical"),
        ("x", 8, "invalid base prefix"),
    ],
)
def test_impossible_pools(base: str, size: int, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        Ledger([Pool(base=base, size=size)])


def test_gateways_and_addresses_of_a_new_network() -> None:
    ledger = Ledger()
    assert ledger.create("a")[0] == Subnet(subnet="172.17.0.0/16", gateway="172.17.0.1")
    assert [ledger.take("a").ipv4 for _ in range(3)] == ["172.17.0.2/16", "172.17.0.3/16", "172.17.0.4/16"]


def test_a_freed_address_is_not_given_at_once_but_to_who_had_it() -> None:
    ledger = Ledger()
    ledger.create("a", [SubnetWish(subnet="10.1.0.0/29")])
    leases = [ledger.take("a") for _ in range(3)]
    ledger.free("a", leases[0])
    ledger.free("a", leases[0])
    assert ledger.take("a").ipv4 == "10.1.0.5/29"
    assert ledger.take("a", before4=leases[0].ipv4).ipv4 == leases[0].ipv4
    assert ledger.take("a", before4=leases[0].ipv4).ipv4 == "10.1.0.6/29"
    with pytest.raises(Exhausted, match="no available IPv4 addresses on this network's address pools"):
        ledger.take("a")
    ledger.free("a", leases[1])
    assert ledger.take("a").ipv4 == leases[1].ipv4


def test_ranges_gateways_and_auxiliary_addresses() -> None:
    ledger = Ledger()
    wish = SubnetWish(
        subnet="10.1.0.0/16",
        range="10.1.5.0/30",
        gateway="10.1.0.254",
        auxiliary={"printer": "10.1.5.1", "router": "10.1.0.7"},
    )
    assert ledger.create("a", [wish])[0] == Subnet(
        subnet="10.1.0.0/16", gateway="10.1.0.254", range="10.1.5.0/30", auxiliary=wish.auxiliary
    )
    assert [ledger.take("a").ipv4 for _ in range(3)] == ["10.1.5.0/16", "10.1.5.2/16", "10.1.5.3/16"]
    with pytest.raises(Exhausted):
        ledger.take("a")
    with pytest.raises(Forbidden, match="Address already in use"):
        ledger.take("a", wish4="10.1.0.7")
    assert ledger.take("a", wish4="10.1.99.1").ipv4 == "10.1.99.1/16"
    assert ledger.usage("a")["10.1.0.0/16"].available == 0


def test_a_network_without_a_gateway() -> None:
    ledger = Ledger()
    assert ledger.create("a", gateway=False)[0].gateway == ""
    assert ledger.take("a").ipv4 == "172.17.0.1/16"


def test_small_blocks() -> None:
    ledger = Ledger()
    ledger.create("pair", [SubnetWish(subnet="10.1.0.0/31")])
    assert ledger.take("pair").ipv4 == "10.1.0.1/31"
    ledger.create("one", [SubnetWish(subnet="10.2.0.9/32")], gateway=False)
    assert ledger.take("one").ipv4 == "10.2.0.9/32"
    ledger.create("six", [SubnetWish(subnet="fd02::/127")], ipv4=False, ipv6=True)
    with pytest.raises(Exhausted):
        ledger.take("six", ipv4=False, ipv6=True)


def test_static_addresses() -> None:
    ledger = Ledger()
    ledger.create("a", [SubnetWish(subnet="10.1.0.0/16"), SubnetWish(subnet="fd03::/64")], ipv6=True)
    lease = ledger.take("a", ipv6=True, wish4="10.1.2.3", wish6="fd03::99", mac="02-42-AC-11-00-09")
    assert lease == Lease(ipv4="10.1.2.3/16", ipv6="fd03::99/64", mac="02:42:ac:11:00:09")
    with pytest.raises(Forbidden, match="Address already in use"):
        ledger.take("a", wish4="10.1.2.3")
    with pytest.raises(InvalidArgument, match="no configured subnet contains IP address"):
        ledger.take("a", wish4="10.2.0.1")
    with pytest.raises(Forbidden):
        ledger.take("a", ipv6=True, wish4="10.1.2.4", wish6="fd03::99")
    assert ledger.take("a", wish4="10.1.2.4").ipv4 == "10.1.2.4/16"


def test_a_mac_address_is_one_endpoints() -> None:
    ledger = Ledger()
    ledger.create("a")
    ledger.create("b")
    lease = ledger.take("a", mac="02:42:ac:11:00:09")
    with pytest.raises(Conflict, match="02:42:ac:11:00:09 is already in use"):
        ledger.take("a", mac="02:42:AC:11:00:09")
    ledger.take("b", mac="02:42:ac:11:00:09")
    ledger.free("a", lease)
    assert ledger.take("a", mac="02:42:ac:11:00:09").mac == lease.mac


@pytest.mark.parametrize("text", ["", "02:42", "01:00:5e:00:00:01", "02:42:ac:11:00:0g", "02:42-ac:11:00:09"])
def test_bad_mac_addresses(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid MAC address"):
        hardware.read_mac(text)


def test_mac_of_an_address() -> None:
    assert hardware.mac_of("172.17.0.2/16") == "02:42:ac:11:00:02"
    assert {int(hardware.random_mac()[:2], 16) & 3 for _ in range(100)} == {2}


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (SubnetWish(subnet="10.1.2.3/16"), "invalid subnet 10.1.2.3/16: it should be 10.1.0.0/16"),
        (SubnetWish(subnet="ten"), "invalid subnet ten: invalid CIDR block notation"),
        (
            SubnetWish(subnet="10.1.0.0/16", range="10.0.0.0/8"),
            "CIDR block is bigger than its parent subnet 10.1.0.0/16",
        ),
        (SubnetWish(subnet="10.1.0.0/16", range="10.1.1.1/24"), "it should be 10.1.1.0/24"),
        (SubnetWish(subnet="10.1.0.0/16", range="10.2.1.0/24"), "10.1.0.0/16 doesn't contain ip-range"),
        (SubnetWish(subnet="10.1.0.0/16", range="fd00::/64"), "parent subnet is an IPv4 block"),
        (SubnetWish(subnet="10.1.0.0/16", gateway="10.2.0.1"), "invalid gateway 10.2.0.1: parent subnet"),
        (SubnetWish(subnet="10.1.0.0/16", gateway="fd00::1"), "invalid gateway fd00::1: parent subnet is an"),
        (SubnetWish(gateway="10.2.0.1"), "invalid gateway 10.2.0.1: it needs a subnet"),
        (
            SubnetWish(subnet="10.1.0.0/16", auxiliary={"x": "10.2.0.1"}),
            "invalid auxiliary address x: par",
        ),
        (SubnetWish(range="10.2.0.0/16"), "invalid ip-range 10.2.0.0/16: it needs a subnet"),
    ],
)
def test_wishes_that_can_not_be(wish: SubnetWish, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Ledger().create("a", [wish])
    assert caught.value.message.startswith("invalid network config:\n")
    assert words in caught.value.message


def test_every_mistake_is_listed() -> None:
    wish = SubnetWish(subnet="10.1.0.0/16", range="10.0.0.0/8", gateway="10.2.0.1")
    with pytest.raises(InvalidArgument) as caught:
        Ledger().create("a", [wish])
    assert caught.value.message.count("\n* ") == 2


def test_a_gateway_that_is_the_network_itself() -> None:
    with pytest.raises(Forbidden, match=r"failed to allocate gateway \(10.1.0.0\): Address already in use"):
        Ledger().create("a", [SubnetWish(subnet="10.1.0.0/16", gateway="10.1.0.0")])


def test_known_again_at_a_start() -> None:
    """Hostile.md, row 40: what no endpoint holds is free, whatever happened before."""
    before = Ledger()
    rows = {name: before.create(name, ipv6=True) for name in "ab"}
    leases = [before.take("a", ipv6=True) for _ in range(5)]
    after = Ledger()
    for name, row in rows.items():
        after.restore(name, row)
    for lease in leases[::2]:
        after.hold("a", lease)
    after.hold("a", Lease(ipv4="9.9.9.9/8"))
    assert [after.take("a").ipv4 for _ in range(3)] == [leases[1].ipv4, leases[3].ipv4, "172.17.0.7/16"]
    with pytest.raises(Conflict):
        after.take("a", mac=leases[0].mac)
    assert subnets(after, "c") == ["172.19.0.0/16"]


def test_the_last_of_a_large_subnet_is_found_in_time() -> None:
    ledger = Ledger()
    ledger.create("a")
    started = time.perf_counter()
    taken = {ledger.take("a").ipv4 for _ in range(65533)}
    assert len(taken) == 65533
    with pytest.raises(Exhausted):
        ledger.take("a")
    ledger.free("a", Lease(ipv4="172.17.99.1/16"))
    assert ledger.take("a").ipv4 == "172.17.99.1/16"
    assert time.perf_counter() - started < 20


blocks = st.builds(ranges.block_at, st.just(4), st.integers(0, 2**32 - 1), st.integers(10, 30))


@settings(deadline=None)
@given(blocks, st.integers(0, 8), st.lists(blocks, max_size=12))
def test_a_chosen_subnet_is_the_first_that_overlaps_nothing(
    base: ranges.Block, longer: int, used: list[ranges.Block]
) -> None:
    size = min(32, base.length + longer)
    step = 1 << 32 - size
    candidates = (ranges.block_at(4, first, size) for first in range(base.first, base.last + 1, step))
    first = next((one for one in candidates if not any(one.overlaps(other) for other in used)), None)
    try:
        found = pools.choose([pools.Slices(base, size)], used, 4)
    except InvalidArgument:
        assert first is None
    else:
        assert found == first


@settings(deadline=None)
@given(st.ip_addresses())
def test_addresses_are_read_as_they_are_written(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    version, number = ranges.read_address(str(address))
    mapped = getattr(address, "ipv4_mapped", None)
    assert ranges.address_text(number, version) == str(mapped or address)


@settings(deadline=None)
@given(st.text(max_size=20))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        block, _ = ranges.read_block(text)
    except ValueError:
        return
    assert ranges.read_block(str(block)) == (block, True)


class Holders(RuleBasedStateMachine):
    """Whatever is asked in whatever order: nobody shares an address, and all are found again."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.row = self.ledger.create("a", [SubnetWish(subnet="10.0.0.0/28", range="10.0.0.0/29")])
        self.held: list[Lease] = []

    @rule(wish=st.integers(0, 15))
    def take_static(self, wish: int) -> None:
        text = f"10.0.0.{wish}"
        free = wish not in (0, 1, 15) and all(one.ipv4 != f"{text}/28" for one in self.held)
        try:
            self.held.append(self.ledger.take("a", wish4=text))
        except Forbidden:
            assert not free
        else:
            assert free

    @rule()
    def take_next(self) -> None:
        try:
            lease = self.ledger.take("a")
        except Exhausted:
            inside = {f"10.0.0.{number}/28" for number in range(2, 8)}
            assert inside <= {one.ipv4 for one in self.held}
        else:
            self.held.append(lease)

    @rule(which=st.integers(0, 100))
    def free(self, which: int) -> None:
        if self.held:
            self.ledger.free("a", self.held.pop(which % len(self.held)))

    @rule()
    def crash(self) -> None:
        self.ledger = Ledger()
        self.ledger.restore("a", self.row)
        for lease in self.held:
            self.ledger.hold("a", lease)

    @invariant()
    def nobody_shares(self) -> None:
        assert len({one.ipv4 for one in self.held}) == len(self.held)
        assert self.ledger.usage("a")["10.0.0.0/28"].in_use == len(self.held) + 3


TestHolders = Holders.TestCase
TestHolders.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_default_pools_are_dockers() -> None:
    assert len(DEFAULT_POOLS) == 7
    assert DEFAULT_POOLS[-1] == Pool(base="192.168.0.0/16", size=20)
