"""The host's own network: what of it is taken, and the few switches that containers need.

Touches /proc/sys/net and reads rtnetlink; forwarding is switched on, never off.
"""

from __future__ import annotations

import os

from lodge.kernel.netlink import links, routes
from lodge.kernel.netlink.socket import NETLINK_NETFILTER, NetlinkSocket
from lodge.kernel.nftables import watch

_SYSCTL = "/proc/sys/net"


def taken(sock: NetlinkSocket) -> list[str]:
    """Subnets that addresses and routes of this host use, default routes left out."""
    found = {str(routes.parse_address(a).interface.network) for a in sock.ask(routes.dump_addresses())}
    for answer in sock.ask(routes.dump_routes()):
        route = routes.parse_route(answer)
        if route is not None and not route.destination.endswith("/0"):
            found.add(route.destination)
    return sorted(found)


def find_link(sock: NetlinkSocket, name: str) -> links.Link | None:
    """The link of this name, None when there is none."""
    try:
        return links.parse(sock.ask(links.get(name))[0])
    except OSError:
        return None


def every_link(sock: NetlinkSocket) -> list[links.Link]:
    """All links of the socket's namespace."""
    return [links.parse(answer) for answer in sock.ask(links.dump())]


def set_sysctl(name: str, value: str) -> None:
    """Write net.<name> of the calling thread's namespace ("ipv4/ip_forward"); OSError when there is none."""
    path = f"{_SYSCTL}/{name}"
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(fd)


def sysctl(name: str) -> str:
    """The value of net.<name>, "" where there is none."""
    try:
        with open(f"{_SYSCTL}/{name}", encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def has_ipv6() -> bool:
    """Whether this host's kernel speaks IPv6 and was not told to keep quiet."""
    return sysctl("ipv6/conf/all/disable_ipv6") == "0"


def bridges_filter() -> bool:
    """Whether bridged packets pass the host's IP rules too: br_netfilter is loaded, for both versions."""
    return all(sysctl(f"bridge/bridge-nf-call-{name}") == "1" for name in ("iptables", "ip6tables"))


def strict_neighbours(own: str) -> list[str]:
    """A warning for each table of others that drops forwarded packets by default: it has the last word."""
    with NetlinkSocket(NETLINK_NETFILTER) as sock:
        found = watch.dropping_chains(sock, "forward")
    return [
        f"the chain {chain} of the table {family} {table} drops what it does not know: containers reach "
        "nothing beyond this host until it accepts forwarded packets of their bridges"
        for family, table, chain in found
        if table != own
    ]


def _keep_advertised_routes() -> None:
    """A host that forwards ignores routers (accept_ra 1); it shall not lose its own routes by us (2)."""
    for link in os.listdir(f"{_SYSCTL}/ipv6/conf"):
        if link not in {"all", "default", "lo"} and sysctl(f"ipv6/conf/{link}/accept_ra") == "1":
            set_sysctl(f"ipv6/conf/{link}/accept_ra", "2")


def forward(*, ipv4: bool, ipv6: bool) -> None:
    """Let the host pass packets on, where it does not yet."""
    if ipv4 and sysctl("ipv4/ip_forward") == "0":
        set_sysctl("ipv4/ip_forward", "1")
    if ipv6 and sysctl("ipv6/conf/all/forwarding") == "0":
        _keep_advertised_routes()
        # "default" first: links that are made meanwhile take it.
        for scope in ("default", "all"):
            if sysctl(f"ipv6/conf/{scope}/forwarding") == "0":
                set_sysctl(f"ipv6/conf/{scope}/forwarding", "1")
