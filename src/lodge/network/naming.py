"""How this engine's links are known again: short random names, and an alias that says whose and what for.

The alias (IFLA_IFALIAS, seen by `ip link`) is "lodge:<instance>:<kind>:<id>"; a link with another instance's,
or with none, is never touched.
"""

from __future__ import annotations

import os
from ipaddress import IPv6Address
from typing import NamedTuple

from lodge.kernel.netlink.links import Link, mac_bytes

BRIDGE, PORT, PARENT, TUNNEL, SHAPER = "bridge", "port", "parent", "tunnel", "shaper"


class Mark(NamedTuple):
    """What a link of ours is for: a bridge's or tunnel's network id, a port's network id."""

    kind: str
    id: str


def alias(instance: str, kind: str, key: str) -> str:
    """The text that marks a link."""
    return f"lodge:{instance}:{kind}:{key}"


def mark(link: Link, instance: str) -> Mark | None:
    """What the alias says, None for a link that is not of this instance."""
    head, _, rest = link.alias.partition(f"lodge:{instance}:")
    kind, _, key = rest.partition(":")
    return Mark(kind, key) if not head and kind else None


def random_name() -> str:
    """A name for the host's end of a pair; the chance that it is taken is one in 2^28 for each that is."""
    return "veth" + os.urandom(4).hex()[:7]


def bridge_mac(network_id: str) -> str:
    """A hardware address that a bridge has for good: with its ports' it would change as they come and go."""
    digits = (network_id + "0" * 8)[:8]
    return "02:42:" + ":".join(digits[i : i + 2] for i in range(0, 8, 2))


def link_local(mac: str) -> IPv6Address:
    """The address of fe80::/64 that a hardware address gives (RFC 4291, appendix A)."""
    octets = mac_bytes(mac)
    identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return IPv6Address(b"\xfe\x80" + bytes(6) + identifier)
