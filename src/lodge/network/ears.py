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
_DNS = 53
_PACKED = IPv4Address(ADDRESS).packed


class Ears:
    """Two sockets in a namespace, owned until they are given away."""

    def __init__(self, space: Space, *, new: bool) -> None:
        """`new`: the namespace never had any."""
        self.udp, self.tcp = space.ears(ADDRESS)
        self._rules: NetlinkSocket | None = None
        try:
            redirect = table(self.udp.getsockname()[1], self.tcp.getsockname()[1])
            with netspaces.visiting(space.fd):
                self._rules = NetlinkSocket(NETLINK_NETFILTER)
            batch = Batch().add_table(redirect) if new else Batch().replace_table(redirect)
            batch.commit(self._rules)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close our copies.

        Not while somebody waits: the kernel closes a socket of nf_tables when all that was ever removed by
        anybody is really gone, and that takes it up to 20 ms.
        """
        self.udp.close()
        self.tcp.close()
        if self._rules is not None:
            self._rules.close()


def table(udp_port: int, tcp_port: int) -> Table:
    """The rules inside the sandbox: ports are written over on the way there and on the way back.

    Not translation by connection: each query would be an entry in a table.
    """
    there, back = x.compare(x.IP_DADDR, ADDRESS, _PACKED), x.compare(x.IP_SADDR, ADDRESS, _PACKED)
    rules = []
    for word, number, port in (("udp", 17, udp_port), ("tcp", 6, tcp_port)):
        transport = x.l4proto(word, number)
        rules += [
            (there, transport, _is(x.DPORT, _DNS), x.set_port(word, "dport", port)),
            (back, transport, _is(x.SPORT, port), x.set_port(word, "sport", _DNS)),
        ]
    return Table("ip", "lodge-names", (), (Chain("output", Base("filter", "output", 0), tuple(rules)),))


def _is(load: x.Load, port: int) -> x.Expression:
    return x.compare(load, str(port), port.to_bytes(2, "big"))
