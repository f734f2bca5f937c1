"""Networks of a container: --network with its fields, and the flags that belong to the first network."""

from __future__ import annotations

from lodge.cli.settings.csv import split_fields
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from lodge.cli.flags import Values

_FIELDS = ("alias", "driver-opt", "gw-priority", "ip", "ip6", "link-local-ip", "mac-address", "name")
_PREDEFINED = ("default", "bridge", "host", "none", "nat")


def parse_network(text: str) -> dict[str, list[str]]:
    """One --network: a bare name, or fields; every value is a list. ValueError for an unknown field."""
    if "=" not in text:
        return {"name": [text]}
    fields: dict[str, list[str]] = {}
    for field in split_fields(text):
        key, mark, value = field.partition("=")
        key = key.strip().lower()
        if not mark:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        if key not in _FIELDS:
            raise ValueError(f"invalid field key {key}")
        fields.setdefault(key, []).append(value.strip())
    if not fields.get("name"):
        raise ValueError("network name/id is not specified")
    return fields


def network_settings(values: Values) -> tuple[str, dict[str, dict[str, Any]]]:
    """The NetworkMode, and the EndpointsConfig by network."""
    networks: Sequence[dict[str, list[str]]] = values["network"]
    endpoints: dict[str, dict[str, Any]] = {}
    for position, fields in enumerate(networks or ({"name": ["default"]},)):
        name = fields["name"][-1]
        if not name:
            raise InvalidArgument("no name set for network")
        if name in endpoints:
            raise InvalidArgument(f'network "{name}" is specified multiple times')
        if len(networks) > 1 and not _user_defined(name):
            raise InvalidArgument(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
            )
        endpoints[name] = _endpoint(name, fields if position else _with_flags(name, fields, values))
    mode = next(iter(endpoints))
    return mode, {name: endpoint for name, endpoint in endpoints.items() if endpoint or len(endpoints) > 1}


def rates(text: str) -> dict[str, str]:
    """The annotations of `egress=10mbit,ingress=5mbit`; one rate alone is for both."""
    if "=" not in text:
        return {"io.lodge.egress": _rate(text), "io.lodge.ingress": _rate(text)}
    found: dict[str, str] = {}
    for part in text.split(","):
        name, _, rate = part.partition("=")
        if name not in ("egress", "ingress"):
            raise InvalidArgument(f"invalid network rate: {text}", hint="write egress=10mbit,ingress=5mbit")
        found[f"io.lodge.{name}"] = _rate(rate)
    return found


def _rate(text: str) -> str:
    return "" if text in ("0", "none", "unlimited") else text


def _user_defined(name: str) -> bool:
    return name not in _PREDEFINED and not name.startswith("container:")


def _with_flags(name: str, fields: dict[str, list[str]], values: Values) -> dict[str, list[str]]:
    """The first network's fields with those of the single flags; both at once is a conflict."""
    merged = dict(fields)
    for flag, field, conflict in (
        ("network-alias", "alias", "--network-alias and per-network alias"),
        ("ip", "ip", "--ip and per-network IPv4 address"),
        ("ip6", "ip6", "--ip6 and per-network IPv6 address"),
        ("link-local-ip", "link-local-ip", "--link-local-ip and per-network link-local addresses"),
        ("mac-address", "mac-address", "--mac-address and per-network MAC address"),
        ("link", "link", "--link and per-network links"),
    ):
        if flag not in values or (flag == "link" and not _user_defined(name)):
            continue
        if fields.get(field):
            raise InvalidArgument(f"conflicting options: cannot specify both {conflict}")
        given = values[flag]
        merged[field] = list(given) if isinstance(given, list) else [given]
    return merged


def _endpoint(name: str, fields: dict[str, list[str]]) -> dict[str, Any]:
    endpoint: dict[str, Any] = {}
    if aliases := fields.get("alias"):
        if not _user_defined(name):
            raise InvalidArgument("network-scoped aliases are only supported for user-defined networks")
        endpoint["Aliases"] = aliases
    if links := fields.get("link"):
        endpoint["Links"] = links
    if options := fields.get("driver-opt"):
        endpoint["DriverOpts"] = dict(_option(option) for option in options)
    if addresses := fields.get("mac-address"):
        endpoint["MacAddress"] = _mac_address(addresses[-1])
    if priority := fields.get("gw-priority"):
        try:
            endpoint["GwPriority"] = int(priority[-1])
        except ValueError:
            raise InvalidArgument(f"invalid gw-priority: {priority[-1]}") from None
    ipam: dict[str, Any] = {}
    if four := fields.get("ip"):
        ipam["IPv4Address"] = four[-1]
    if six := fields.get("ip6"):
        ipam["IPv6Address"] = six[-1]
    if local := fields.get("link-local-ip"):
        ipam["LinkLocalIPs"] = local
    if ipam:
        endpoint["IPAMConfig"] = ipam
    return endpoint


def _option(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or not name:
        raise InvalidArgument(f"invalid key/value pair format in driver options: {text}")
    return name, value


def _mac_address(text: str) -> str:
    digits = text.replace("-", ":").split(":")
    if len(digits) not in (6, 8, 20) or not all(
        len(pair) == 2 and set(pair.lower()) <= set("0123456789abcdef") for pair in digits
    ):
        raise InvalidArgument(f"{text} is not a valid mac address")
    return text
