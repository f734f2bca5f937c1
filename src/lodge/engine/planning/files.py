"""The text of /etc/hosts of a container; that of resolv.conf is made in `resolving`. Pure but for `read`."""

from __future__ import annotations

import ipaddress
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
HOST_GATEWAY = "host-gateway"
HOSTS = "/etc/hosts"
RESOLV_CONF = "/etc/resolv.conf"


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
    # The whole name, and its first word: a host name may have dots without any domain name.
    whole = f"{hostname}.{domainname}" if domainname else hostname
    first, dot, _ = whole.partition(".")
    own = f"{whole} {first}" if dot else whole
    lines += [f"{address}\t{own}\n" for address in addresses]
    return "".join(lines)


def extra_lines(extra: Sequence[str] | None, gateway: str) -> str:
    """The lines of --add-host alone, to follow the host's own /etc/hosts."""
    pairs = [check_extra_host(text) for text in extra or ()]
    return "".join(f"{gateway if where == HOST_GATEWAY else where}\t{name}\n" for name, where in pairs)


def read(path: str) -> str:
    """A file of the host; "" when it is not there."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
