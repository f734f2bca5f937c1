"""Networks in answers, and network wishes out of requests. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from lodge.api.requests import NetworkCreate
from lodge.api.times import rfc3339
from lodge.engine.models import AddressRange, Member, Network


def network(value: Network, version: int, members: Sequence[Member] | None = None) -> dict[str, Any]:
    """One network; `members` for an inspection, None for a list."""
    out: dict[str, Any] = {
        "Name": value.name,
        "Id": value.id,
        "Created": rfc3339(value.created_at),
        "Scope": value.scope,
        "Driver": value.driver,
        "EnableIPv4": value.ipv4,
        "EnableIPv6": value.ipv6,
        "IPAM": {
            "Driver": value.ipam_driver,
            "Options": value.ipam_options,
            "Config": _ranges(value),
        },
        "Internal": value.internal,
        "Attachable": value.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": value.origin},
        "ConfigOnly": value.config_only,
        "Containers": {one.container_id: _member(one) for one in members or ()},
        "Options": value.options,
        "Labels": value.labels,
    }
    if members is not None and version >= 52 and value.subnets:
        out["Status"] = {"IPAM": {"Subnets": _usage(value, members)}}
    return out


def _ranges(value: Network) -> list[dict[str, Any]] | None:
    """What the user said; where nothing was said of a family, what was chosen."""
    if value.driver in ("host", "null") and not value.config_only:
        return None
    said = [one for one in value.asked if one.subnet]
    families = {":" in one.subnet for one in said}
    chosen = [one for one in value.subnets if (":" in one.subnet) not in families]
    if value.predefined:
        said, chosen = [], value.subnets
    return [_range(one) for one in (*said, *chosen)]


def _range(value: AddressRange) -> dict[str, Any]:
    out: dict[str, Any] = {"Subnet": value.subnet}
    if value.range:
        out["IPRange"] = value.range
    if value.gateway:
        out["Gateway"] = value.gateway
    if value.auxiliary:
        out["AuxiliaryAddresses"] = value.auxiliary
    return out


def _member(value: Member) -> dict[str, str]:
    return {
        "Name": value.name,
        "EndpointID": value.endpoint_id,
        "MacAddress": value.mac_address,
        "IPv4Address": value.ipv4,
        "IPv6Address": value.ipv6,
    }


def _usage(value: Network, members: Sequence[Member]) -> dict[str, dict[str, int]]:
    """Addresses in use and left of each subnet: the edges, the gateway and the auxiliary ones count."""
    found: dict[str, dict[str, int]] = {}
    for one in value.subnets:
        block = ipaddress.ip_network(one.subnet)
        held = [member.ipv6 if block.version == 6 else member.ipv4 for member in members]
        inside = sum(bool(text) and ipaddress.ip_interface(text).ip in block for text in held)
        edges = (2 if block.version == 4 else 1) if block.num_addresses > 2 else 0
        used = inside + edges + bool(one.gateway) + len(one.auxiliary or ())
        left = min(2**64 - 1, max(0, block.num_addresses - used))
        found[one.subnet] = {"IPsInUse": used, "DynamicIPsAvailable": left}
    return found


def wish(asked: NetworkCreate, version: int) -> Network:
    """What a client wants, without id."""
    ipam = asked.ipam
    return Network(
        id="",
        name=asked.name,
        created_at=0,
        driver=asked.driver or "bridge",
        scope=asked.scope or "local",
        ipv4=True if asked.enable_ipv4 is None or version < 48 else asked.enable_ipv4,
        ipv6=bool(asked.enable_ipv6),
        ipam_driver=(ipam.driver if ipam is not None else "") or "default",
        ipam_options=ipam.options if ipam is not None else None,
        asked=[
            AddressRange(
                subnet=one.subnet,
                range=one.ip_range,
                gateway=one.gateway,
                auxiliary=one.auxiliary_addresses or None,
            )
            for one in (ipam.config if ipam is not None else None) or ()
        ],
        internal=asked.internal,
        attachable=asked.attachable,
        config_only=asked.config_only,
        origin=asked.config_from.network if asked.config_from is not None else "",
        options=asked.options or {},
        labels=asked.labels or {},
    )
