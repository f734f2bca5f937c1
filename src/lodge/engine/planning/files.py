"""The texts of /etc/hostname, /etc/hosts and /etc/resolv.conf of a container. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from lodge.errors import InvalidArgument

_LOOPBACK = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)
_NAMESERVER = re.compile(r"^\s*nameserver\s+(\S+)", re.MULTILINE)
_FALLBACK_SERVERS = ("8.8.8.8", "8.8.4.4")
HOST_GATEWAY = "host-gateway"


def check_extra_host(text: str) -> tuple[str, str]:
    """Read `name:address`; InvalidArgument in Docker's words."""
    name, separator, address = text.partition("=" if "=" in text.split(":", maxsplit=1)[0] else ":")
    if not separator or not name:
        raise InvalidArgument(f'bad format for add-host: "{text}"')
    if address != HOST_GATEWAY:
        try:
            ipaddress.ip_address(address.strip("[]"))
        except ValueError:
            raise InvalidArgument(f'invalid IP address in add-host: "{address}"') from None
    return name, address.strip("[]")


def hosts(hostname: str, domainname: str, extra: Sequence[str] | None, address: str, gateway: str) -> str:
    """/etc/hosts; `address` is the container's own, "" for none, `gateway` the host's as it sees it."""
    lines = [_LOOPBACK]
    for text in extra or ():
        name, where = check_extra_host(text)
        where = gateway if where == HOST_GATEWAY else where
        if where:
            lines.append(f"{where}\t{name}\n")
    if address:
        names = f"{hostname}.{domainname} {hostname}" if domainname else hostname
        lines.append(f"{address}\t{names}\n")
    return "".join(lines)


def extra_lines(extra: Sequence[str] | None, gateway: str) -> str:
    """The lines of --add-host alone, to follow the host's own /etc/hosts."""
    pairs = [check_extra_host(text) for text in extra or ()]
    return "".join(f"{gateway if where == HOST_GATEWAY else where}\t{name}\n" for name, where in pairs)


def resolv_conf(
    host_text: str,
    *,
    servers: Sequence[str],
    search: Sequence[str],
    options: Sequence[str],
    private_network: bool,
) -> str:
    """/etc/resolv.conf: the host's with what the user said in its place.

    In a network namespace of its own a container can't reach a resolver on the host's loopback, so such
    servers are left out there, and public ones take their place when none is left.
    """
    found = list(servers) or _NAMESERVER.findall(host_text)
    if private_network and not servers:
        found = [server for server in found if not _is_loopback(server)] or list(_FALLBACK_SERVERS)
    lines = [f"nameserver {server}\n" for server in found]
    searched = [word for word in search if word != "."] if search else _words_of(host_text, "search")
    if searched:
        lines.append(f"search {' '.join(searched)}\n")
    chosen = list(options) or _words_of(host_text, "options")
    if chosen:
        lines.append(f"options {' '.join(chosen)}\n")
    return "".join(lines)


def _is_loopback(server: str) -> bool:
    try:
        return ipaddress.ip_address(server.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _words_of(text: str, keyword: str) -> list[str]:
    found: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] == [keyword]:
            found = words[1:]
    return found
