"""The texts of /etc/hostname, /etc/hosts and /etc/resolv.conf of a container. Pure but for `read`."""

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
HOSTS = "/etc/hosts"
RESOLV_CONF = "/etc/resolv.conf"
EMBEDDED_SERVER = "127.0.0.11"


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


def hosts(
    hostname: str,
    domainname: str,
    extra: Sequence[str] | None,
    *,
    addresses: Sequence[str] = (),
    gateways: Sequence[str] = (),
    links: Sequence[tuple[str, str]] = (),
) -> str:
    """/etc/hosts; `addresses` are the container's own, `gateways` the host's as it sees it.

    `links` are others' as (address, names). A host-gateway without any gateway is left out.
    """
    lines = [_LOOPBACK]
    for text in extra or ():
        name, where = check_extra_host(text)
        lines += [f"{one}\t{name}\n" for one in (gateways if where == HOST_GATEWAY else (where,))]
    lines += [f"{address}\t{names}\n" for address, names in links]
    own = f"{hostname}.{domainname} {hostname}" if domainname else hostname
    lines += [f"{address}\t{own}\n" for address in addresses]
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
    embedded: bool = False,
) -> str:
    """/etc/resolv.conf: the host's with what the user said in its place.

    In a network namespace of its own a container can't reach a resolver on the host's loopback, so such
    servers are left out there, and public ones take their place when none is left. With the `embedded` name
    server that one stands alone: it asks the others.
    """
    found = list(servers) or name_servers(host_text)
    if private_network and not servers:
        found = [server for server in found if not _is_loopback(server)] or list(_FALLBACK_SERVERS)
    if embedded:
        found = [EMBEDDED_SERVER]
    lines = [f"nameserver {server}\n" for server in found]
    if searched := search_domains(host_text, search):
        lines.append(f"search {' '.join(searched)}\n")
    chosen = resolver_options(host_text, options)
    if embedded and not any(word.startswith("ndots:") for word in chosen):
        chosen.append("ndots:0")
    if chosen:
        lines.append(f"options {' '.join(chosen)}\n")
    return "".join(lines)


def name_servers(text: str) -> list[str]:
    """The servers of a resolv.conf."""
    return _NAMESERVER.findall(text)


def search_domains(host_text: str, asked: Sequence[str]) -> list[str]:
    """Domains to search: those asked for, "." for none, else the host's."""
    return [word for word in asked if word != "."] if asked else _words_of(host_text, "search")


def resolver_options(host_text: str, asked: Sequence[str]) -> list[str]:
    """Options of the resolver: those asked for, else the host's."""
    return list(asked) or _words_of(host_text, "options")


def read(path: str) -> str:
    """A file of the host; "" when it is not there."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


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
