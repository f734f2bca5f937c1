"""What must not get out, and who must not pretend to be somebody else: packets are counted on the wire."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from lodge.kernel.netlink import links, routes
from lodge.kernel.netlink.socket import NetlinkSocket
from tests.privileged.network.conftest import HOST, WORLD, Guest, Listener, Scene, reach, refused

ETH_P_ALL = 3
WIRE_SECONDS = 0.2


@contextlib.contextmanager
def wire(interface: str = "eth0") -> Iterator[socket.socket]:
    """Everything on an interface of where the caller is."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as sock:
        sock.bind((interface, 0))
        sock.settimeout(WIRE_SECONDS)
        yield sock


def frames(sock: socket.socket) -> list[bytes]:
    found = []
    with contextlib.suppress(TimeoutError):
        while True:
            found.append(sock.recv(2048))
    return found


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ping(source: str, target: str) -> bytes:
    """An ICMP echo request in an IPv4 packet with any source."""
    body = struct.pack(">BBHHH", 8, 0, 0, 7, 7) + b"spoofed!"
    body = body[:2] + struct.pack(">H", checksum(body)) + body[4:]
    head = struct.pack(
        ">BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(body),
        1,
        0,
        64,
        1,
        0,
        ip_address(source).packed,
        ip_address(target).packed,
    )
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + body


def arp_reply(mac: str, sender: str, target: str) -> bytes:
    """An answer nobody asked for, to everybody: that `sender` is at `mac`."""
    own = links.mac_bytes(mac)
    return (
        struct.pack(">HHBBH", 1, 0x0800, 6, 4, 2)
        + own
        + ip_address(sender).packed
        + b"\xff" * 6
        + ip_address(target).packed
    )


def neighbour_advert(source: str, target: str, mac: str) -> bytes:
    """An unsolicited neighbour advertisement (RFC 4861) to all nodes."""
    everybody = ip_address("ff02::1").packed
    body = struct.pack(">BBHI", 136, 0, 0, 0x20000000) + ip_address(target).packed
    body += b"\x02\x01" + links.mac_bytes(mac)
    pseudo = ip_address(source).packed + everybody + struct.pack(">IxxxB", len(body), 58)
    body = body[:2] + struct.pack(">H", checksum(pseudo + body)) + body[4:]
    return struct.pack(">IHBB", 6 << 28, len(body), 58, 255) + ip_address(source).packed + everybody + body


def send_frame(guest: Guest, protocol: int, payload: bytes, *, to: str, source_mac: str = "") -> None:
    with guest.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("eth0", protocol))
        own = links.mac_bytes(source_mac or guest.sandbox.endpoints[0].mac)
        sock.send(links.mac_bytes(to) + own + struct.pack(">H", protocol) + payload)


def test_no_packet_of_an_internal_network_leaves(scene: Scene) -> None:
    network = scene.network(internal=True, ipv6=True)
    guest, other = scene.guest(network), scene.guest(network)
    bridge = scene.link(network.link)
    assert bridge
    with guest.inside(), NetlinkSocket() as sock:
        # Whoever may administer the container's network can make a route for itself.
        index = guest.links()["eth0"].ifindex
        for version, gateway in ((4, "10.1.0.1"), (6, "fd00:1::1")):
            address = ip_address(gateway)
            sock.do(routes.add_route(routes.default_route(version), index, gateway=address.packed))
    with scene.in_world(), wire() as outside:
        frames(outside)
        with Listener("0.0.0.0", 5353, socket.SOCK_DGRAM) as server, guest.inside():
            for address in (WORLD, "2001:db8::2", "8.8.8.8"):
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                with socket.socket(family, socket.SOCK_DGRAM) as client:
                    client.sendto(b"out", (address, 5353))
            assert refused(server, WORLD, 5353)
        payloads = [frame for frame in frames(outside) if b"out" in frame or b"hello?" in frame]
    assert payloads == []
    with Listener("0.0.0.0", 80) as on_host, guest.inside():
        assert refused(on_host, HOST, 80)  # the host's other addresses are none of its business
        assert reach(on_host, "10.1.0.1", 80) == guest.ipv4
    with guest.inside():
        server = Listener(guest.ipv4, 80)
    with server:
        with other.inside():
            assert reach(server, guest.ipv4, 80) == other.ipv4
        assert reach(server, guest.ipv4, 80) == "10.1.0.1"


def test_the_hosts_loopback_is_out_of_reach(scene: Scene) -> None:
    guest = scene.guest(scene.network())
    bridge = scene.link("t1")
    assert bridge
    with Listener("127.0.0.1", 7777, socket.SOCK_DGRAM) as server:
        server.sock.settimeout(WIRE_SECONDS)
        with guest.inside():
            datagram = struct.pack(">HHHH", 4000, 7777, 8 + 5, 0) + b"hello"
            packet = bytearray(ping(guest.ipv4, "127.0.0.1")[:20])
            packet[9] = 17
            packet[2:4] = struct.pack(">H", 20 + len(datagram))
            packet[10:12] = b"\0\0"
            packet[10:12] = struct.pack(">H", checksum(bytes(packet)))
        send_frame(guest, 0x0800, bytes(packet) + datagram, to=bridge.mac)
        with pytest.raises(TimeoutError):
            server.sock.recv(100)


def test_nobody_uses_anothers_address(scene: Scene) -> None:
    network = scene.network(ipv6=True)
    victim, thief, witness = (scene.guest(network) for _ in range(3))
    mac, own = witness.sandbox.endpoints[0].mac, thief.sandbox.endpoints[0].mac
    with witness.inside(), wire() as wired:
        frames(wired)
        send_frame(thief, 0x0800, ping(victim.ipv4, witness.ipv4), to=mac)
        send_frame(thief, 0x0800, ping("10.1.0.1", witness.ipv4), to=mac)
        send_frame(thief, 0x0806, arp_reply(own, "10.1.0.1", witness.ipv4), to="ff:ff:ff:ff:ff:ff")
        send_frame(thief, 0x0806, arp_reply(own, victim.ipv4, witness.ipv4), to="ff:ff:ff:ff:ff:ff")
        send_frame(thief, 0x86DD, neighbour_advert(thief.ipv6, "fd00:1::1", own), to="33:33:00:00:00:01")
        send_frame(thief, 0x88B5, b"pretend", to=mac, source_mac=victim.sandbox.endpoints[0].mac)
        seen = frames(wired)
        stolen = [f for f in seen if b"spoofed!" in f or b"pretend" in f or f[12:14] == b"\x08\x06"]
        assert stolen == []
        assert not [
            f for f in seen if f[12:14] == b"\x86\xdd" and f[54:55] == b"\x88" and f[78:80] == b"\x02\x01"
        ]
        send_frame(thief, 0x0800, ping(thief.ipv4, witness.ipv4), to=mac)
        assert any(b"spoofed!" in frame for frame in frames(wired))


def test_an_address_of_nobody_leaves_no_bridge(scene: Scene) -> None:
    guest = scene.guest(scene.network())
    bridge = scene.link("t1")
    assert bridge
    with scene.in_world(), wire() as outside:
        frames(outside)
        send_frame(guest, 0x0800, ping("203.0.113.7", WORLD), to=bridge.mac)
        assert not any(b"spoofed!" in frame for frame in frames(outside))
        send_frame(guest, 0x0800, ping(guest.ipv4, WORLD), to=bridge.mac)
        assert any(b"spoofed!" in frame for frame in frames(outside))


def test_a_network_can_do_without_the_check(scene: Scene) -> None:
    network = scene.network(antispoof="off")
    victim, thief, witness = (scene.guest(network) for _ in range(3))
    mac = witness.sandbox.endpoints[0].mac
    with witness.inside(), wire() as wired:
        frames(wired)
        send_frame(thief, 0x0800, ping(victim.ipv4, witness.ipv4), to=mac)
        assert any(b"spoofed!" in frame for frame in frames(wired))
