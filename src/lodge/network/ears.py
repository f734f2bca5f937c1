"""The name server's address inside a sandbox: 127.0.0.11:53 leads to two sockets on other ports.

Nothing is bound to port 53 itself, so that a program of the container can have it on every address.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from lodge.kernel import netspaces
from lodge.kernel.netlink.socket import NETLINK_NETFILTER, NetlinkSocket
from lodge.kernel.nftables import expressions as x
from lodge.kernel.nftables.batch import Batch
from lodge.kernel.nftables.ruleset import Base, Chain, Table
from lodge.network.space import Space

ADDRESS = "127.0.0.11"
_PACKED = IPv4Address(ADDRESS).packed


class Ears:
    """Two sockets in a namespace, owned until they are given away."""

    def __init__(self, space: Space) -> None:
        self.udp, self.tcp = space.ears(ADDRESS)
        try:
            redirect = table(self.udp.getsockname()[1], self.tcp.getsockname()[1])
            with netspaces.visiting(space.fd):
                sock = NetlinkSocket(NETLINK_NETFILTER)
            with sock:
                Batch().replace_table(redirect).commit(sock)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close our copies."""
        self.udp.close()
        self.tcp.close()


def table(udp_port: int, tcp_port: int) -> Table:
    """The rules inside the sandbox. Answers find their way back by the connection's own translation."""
    here = x.compare(x.IP_DADDR, ADDRESS, _PACKED)
    dns = x.compare(x.DPORT, "53", (53).to_bytes(2, "big"))
    rules = (
        (here, x.l4proto("udp", 17), dns, x.dnat_to(_PACKED, ADDRESS, udp_port)),
        (here, x.l4proto("tcp", 6), dns, x.dnat_to(_PACKED, ADDRESS, tcp_port)),
    )
    return Table("ip", "lodge-names", (), (Chain("output", Base("nat", "output", -100), rules),))
