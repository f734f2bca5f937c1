"""What the rules are made of: bridges, guests on their ports, published ports. Plain values; no names."""

from __future__ import annotations

from msgspec import Struct

GATEWAY_MODES = ("nat", "nat-unprotected", "routed", "isolated")


class Side(Struct, frozen=True, kw_only=True):
    """One bridge: `index` of its link, subnets as prefixes; `trusted` are indices of links.

    `masquerade4`, `masquerade6`: who leaves hides behind the host; `source4`, `source6`: behind this address.
    """

    index: int
    internal: bool = False
    icc: bool = True
    mode4: str = "nat"
    mode6: str = "nat"
    masquerade4: bool = False
    masquerade6: bool = False
    source4: str = ""
    source6: str = ""
    prefixes4: tuple[str, ...] = ()
    prefixes6: tuple[str, ...] = ()
    trusted: tuple[int, ...] = ()


class Guest(Struct, frozen=True, kw_only=True):
    """One port of a bridge and who may speak there; `guarded` False lets it use any source address.

    `apart`: no frame goes from it to another such port. Where bridged packets pass the host's IP rules too
    (br_netfilter) those rules keep guests apart, as only they know a published port's packet.
    """

    index: int
    mac: str
    ipv4: str = ""
    ipv6: str = ""
    apart: bool = False
    guarded: bool = True


class Opening(Struct, frozen=True, kw_only=True):
    """One published port of one address family. `host` "" means every address of this host.

    `kernel` False: a proxy serves it, no translation. `direct`: it may be reached at the container's own
    address (gateway modes routed, and from trusted links).
    """

    version: int
    protocol: str
    host: str
    host_port: int
    target: str
    target_port: int
    kernel: bool = True
    direct: bool = False


class Bond(Struct, frozen=True, kw_only=True):
    """Two guests that may speak although their network lets nobody speak (a link of Docker's)."""

    first: str
    second: str


class Muted(Struct, frozen=True, kw_only=True):
    """A port whose container has ended: its namespace may answer for a while, and nobody shall hear."""

    index: int


Fact = Muted | Side | Guest | Opening | Bond
