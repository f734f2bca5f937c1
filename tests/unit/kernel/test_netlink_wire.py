"""Requests and answers of netlink as bytes, against bytes written down from the man page's structures."""

import errno
import struct

from hypothesis import given
from hypothesis import strategies as st

from lodge.kernel.netlink import conntrack, links, queues, routes, wire
from lodge.kernel.netlink.socket import parse_refusal

ATTRIBUTES = st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=8)


@given(ATTRIBUTES)
def test_attributes_come_back(pairs: list[tuple[int, bytes]]) -> None:
    data = b"".join(wire.attribute(kind, value) for kind, value in pairs)
    assert len(data) % 4 == 0
    assert list(wire.attributes(data)) == pairs


@given(st.binary(max_size=200))
def test_any_bytes_end_the_reading(data: bytes) -> None:
    assert sum(len(value) for _, value in wire.attributes(data)) <= len(data)
    assert sum(len(message.body) for message in wire.messages(data)) <= len(data)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=30)), max_size=5))
def test_messages_come_back(bodies: list[tuple[int, bytes]]) -> None:
    data = b"".join(wire.Request(kind, 0, body).pack(n) for n, (kind, body) in enumerate(bodies))
    found = [(answer.kind, answer.sequence, answer.body) for answer in wire.messages(data)]
    assert found == [(kind, n, body) for n, (kind, body) in enumerate(bodies)]


def test_a_request_begins_with_its_header() -> None:
    packed = wire.Request(links.RTM_NEWLINK, wire.NLM_F_CREATE, b"abcde").pack(7, wire.NLM_F_ACK)
    assert packed == struct.pack("=IHHII", 21, 16, 0x400 | 0x1 | 0x4, 7, 0) + b"abcde\0\0\0"


def test_a_veth_is_one_request_with_its_other_end_inside() -> None:
    request = links.veth("veth1", "eth0", peer_also=links.settings(netns=9, mac="02:42:0a:00:00:02"))
    assert (request.kind, request.flags) == (16, 0x600)
    top = wire.by_type(request.body, 16)
    info = wire.by_type(top[links.IFLA_LINKINFO])
    peer = wire.by_type(info[2])[1]
    inside = wire.by_type(peer, 16)
    assert wire.as_text(top[links.IFLA_IFNAME]) == "veth1"
    assert wire.as_text(info[1]) == "veth"
    assert wire.as_text(inside[links.IFLA_IFNAME]) == "eth0"
    assert inside[links.IFLA_NET_NS_FD] == struct.pack("=I", 9)
    assert inside[links.IFLA_ADDRESS] == bytes.fromhex("02420a000002")


def test_a_link_is_read() -> None:
    stats = struct.pack("=24Q", *range(24))
    body = struct.pack("=BxHiII", 0, 1, 12, links.IFF_UP, 0)
    body += wire.text(links.IFLA_IFNAME, "br0") + wire.u32(links.IFLA_MTU, 1400)
    body += wire.attribute(links.IFLA_ADDRESS, bytes.fromhex("02420a000002")) + wire.u32(links.IFLA_MASTER, 4)
    body += wire.attribute(links.IFLA_IFALIAS, b"lodge:x") + wire.attribute(links.IFLA_STATS64, stats)
    body += wire.nested(links.IFLA_LINKINFO, wire.text(1, "bridge"))
    link = links.parse(wire.Answer(16, 0, 1, body))
    assert (link.ifindex, link.name, link.kind, link.mtu) == (12, "br0", "bridge", 1400)
    assert (link.mac, link.master, link.alias, link.up) == ("02:42:0a:00:00:02", 4, "lodge:x", True)
    assert link.stats == tuple(range(24))


def test_an_address_of_version_6_is_ready_at_once() -> None:
    request = routes.add_address(3, "fd00::2/64")
    family, length, _, _, index = struct.unpack_from("=BBBBI", request.body)
    assert (family, length, index) == (10, 64, 3)
    assert wire.by_type(request.body, 8)[8] == struct.pack("=I", 0x02)  # IFA_F_NODAD


def test_addresses_and_routes_are_read_as_they_were_written() -> None:
    for text in ("10.1.0.2/16", "fd00::2/64", "192.0.2.1/32"):
        request = routes.add_address(3, text)
        address = routes.parse_address(wire.Answer(20, 0, 1, request.body))
        assert (address.ifindex, str(address.interface)) == (3, text)
    request = routes.add_route(routes.default_route(4), 3, gateway=bytes([10, 1, 0, 1]))
    route = routes.parse_route(wire.Answer(24, 0, 1, request.body))
    assert route == routes.Route("0.0.0.0/0", 3, "10.1.0.1")


def test_a_flood_entry_is_all_zeros_to_one_end() -> None:
    request = routes.flood(5, bytes([192, 0, 2, 2]))
    family, index, state, flags, _ = struct.unpack_from("=BxxxiHBB", request.body)
    assert (family, index, state, flags) == (7, 5, 0x80 | 0x40, 2)
    assert wire.by_type(request.body, 12) == {2: bytes(6), 1: bytes([192, 0, 2, 2])}


@given(st.integers(1, 10**12))
def test_a_token_bucket_takes_any_rate(rate: int) -> None:
    options = wire.by_type(wire.by_type(queues.token_bucket(3, rate, 16384, 65536).body, 20)[2])
    limited = struct.unpack_from("=I", options[1], 8)[0]
    assert limited == min(rate, 0xFFFFFFFF)
    assert (4 in options) == (rate > 0xFFFFFFFF)


def refusal(code: int, flags: int, rest: bytes) -> wire.Answer:
    return wire.Answer(2, flags, 5, struct.pack("=i", -code) + bytes(16) + rest)


def test_a_refusal_has_the_kernels_own_words() -> None:
    words = wire.text(1, "Unknown device type")
    refused = parse_refusal(refusal(errno.EOPNOTSUPP, 0x100 | 0x200, words), 2)
    assert refused is not None
    assert (refused.errno, refused.position) == (errno.EOPNOTSUPP, 2)
    assert "Unknown device type" in str(refused)
    assert parse_refusal(refusal(0, 0x100, b""), 0) is None


def test_a_link_name_that_is_no_bytes_of_ours_does_no_harm() -> None:
    body = struct.pack("=BxHiII", 0, 1, 1, 0, 0) + wire.attribute(links.IFLA_IFNAME, b"\xff\xfe\0")
    assert links.parse(wire.Answer(16, 0, 1, body)).name == "��"


def test_connections_are_forgotten_by_what_the_filter_names_only() -> None:
    request = conntrack.forget_port(4, 17, 53)
    assert request.kind == 1 << 8 | 2
    found = wire.by_type(request.body, 4)
    assert wire.by_type(wire.by_type(found[1])[2]) == {1: b"\x11", 3: b"\0\x35"}
    assert wire.by_type(found[25]) == {1: struct.pack("=I", 0x28), 2: bytes(4)}
    answers = wire.by_type(conntrack.forget_answers_of("fd00::2").body, 4)
    assert wire.by_type(wire.by_type(answers[2])[1]) == {3: bytes.fromhex("fd00" + "0" * 27 + "2")}
    assert wire.by_type(answers[25]) == {1: bytes(4), 2: struct.pack("=I", 1)}
