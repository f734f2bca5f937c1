"""The networks that every engine has: bridge, host and none. Made at the first opening, adapted at each.

Names and options are Docker's; the default bridge's link has a name that no other engine here uses.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time

from lodge.engine import names
from lodge.engine.models import AddressRange, Network
from lodge.engine.networks.book import Book
from lodge.engine.settings import NetworkSettings, Settings
from lodge.errors import InvalidArgument

BRIDGE = "bridge"
DISABLED = "none"
"""The value of --bridge for an engine without a default bridge."""

NAMES = ("bridge", "default", "host", "none")
"""What no network of a user may be called."""

_ORDINARY_ROOT = "/var/lib/lodge"
_DRIVERS = {"host": "host", "none": "null"}


def instance(settings: Settings) -> str:
    """Eight hex digits that tell this engine's links from another's."""
    return hashlib.sha256(settings.data_root.encode()).hexdigest()[:8]


def default_link(settings: Settings) -> str:
    """The default bridge's link: lodge0 for an engine at the ordinary place, else one of its own."""
    if settings.network.bridge:
        return settings.network.bridge
    return "lodge0" if settings.data_root == _ORDINARY_ROOT else f"lodge-{instance(settings)}"


def ensure(book: Book, settings: Settings) -> None:
    """Put the three into the book; InvalidArgument for settings of the default bridge that can't be."""
    for name, driver in _DRIVERS.items():
        if book.named(name) is None:
            book.save(_fresh(name, driver))
    known = book.named(BRIDGE)
    if settings.network.bridge == DISABLED:
        if known is not None:
            book.drop(known)
        return
    wanted = _bridge(settings)
    if known is None:
        book.save(wanted)
        return
    same = (
        known.asked == wanted.asked
        and known.options == wanted.options
        and known.ipv6 == wanted.ipv6
        and known.link == wanted.link
    )
    if not same:
        wanted.id, wanted.created_at = known.id, known.created_at
        book.save(wanted)


def _fresh(name: str, driver: str) -> Network:
    return Network(id=names.new_id(), name=name, created_at=time.time_ns(), driver=driver, predefined=True)


def _bridge(settings: Settings) -> Network:
    network = _fresh(BRIDGE, BRIDGE)
    network.link = default_link(settings)
    network.asked = _asked(settings.network)
    network.ipv6 = settings.network.ipv6 or any(":" in one.subnet for one in network.asked)
    network.options = {
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.enable_icc": _word(settings.network.icc),
        "com.docker.network.bridge.enable_ip_masquerade": _word(settings.network.masquerade),
        "com.docker.network.bridge.host_binding_ipv4": settings.network.bind_address or "0.0.0.0",
        "com.docker.network.bridge.name": network.link,
        "com.docker.network.driver.mtu": str(settings.network.mtu or 1500),
    }
    return network


def _word(value: bool) -> str:
    return "true" if value else "false"


def _asked(settings: NetworkSettings) -> list[AddressRange]:
    found = [
        _range(settings.bip, settings.fixed_cidr, settings.gateway, "bip", 4),
        _range(settings.bip6, settings.fixed_cidr_v6, settings.gateway6, "bip6", 6),
    ]
    return [one for one in found if one is not None]


def _range(address: str, part: str, gateway: str, flag: str, version: int) -> AddressRange | None:
    """The subnet of the bridge's own address, or of the part that containers get; None for any."""
    if not address and not part:
        return None
    try:
        own = ipaddress.ip_interface(address) if address else None
        fixed = ipaddress.ip_network(part) if part else None
    except ValueError as error:
        raise InvalidArgument(f"invalid CIDR address: {error}") from None
    subnet = own.network if own is not None else fixed
    if subnet is None or subnet.version != version:
        raise InvalidArgument(f"{flag}: {address or part} is not an IPv{version} block")
    return AddressRange(
        subnet=str(subnet),
        range=str(fixed) if fixed is not None and fixed != subnet else "",
        gateway=gateway or (str(own.ip) if own is not None else ""),
    )
