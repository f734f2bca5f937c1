"""Networks: `network ls`, `create`, `rm`, `connect`, `disconnect` and `draw`."""

from __future__ import annotations

from lodge.cli.command import ANY, Command, for_each
from lodge.cli.filters import encode_filters
from lodge.cli.flags import BOOL, FILTER, INT, LIST, MAP, STRING, Flag
from lodge.cli.settings.environment import pairs
from lodge.cli.settings.kinds import LABEL, LINK
from lodge.client.engine import quote
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lodge.cli.command import Context
    from lodge.cli.flags import Values


def _ls(ctx: Context, values: Values, _arguments: list[str]) -> None:
    networks = ctx.engine.call("GET", "/networks", query={"filters": encode_filters(values["filter"])})
    networks.sort(key=lambda network: str(network["Name"]))
    truncate = not values["no-trunc"]
    if values["quiet"] and not values["format"]:
        for network in networks:
            ctx.out(network["Id"][:12] if truncate else network["Id"])
        return
    from lodge.cli.formatting import print_list

    layout = values["format"] or ctx.config().get("networksFormat") or ""
    print_list(layout, networks, _columns(truncate), ("ID", "Name", "Driver", "Scope"))


def _columns(truncate: bool) -> dict[str, tuple[str, Callable[[Any], Any]]]:
    from lodge.cli.times import parse_rfc3339, stamp

    def labels(network: dict[str, Any]) -> str:
        return ",".join(f"{name}={value}" for name, value in sorted((network.get("Labels") or {}).items()))

    def switch(key: str, default: bool) -> Callable[[Any], str]:
        return lambda network: str(bool(network.get(key, default))).lower()

    return {
        "CreatedAt": ("CREATED AT", lambda network: stamp(parse_rfc3339(network["Created"]))),
        "Driver": ("DRIVER", lambda network: network["Driver"]),
        "ID": ("NETWORK ID", lambda network: network["Id"][:12] if truncate else network["Id"]),
        "IPv4": ("IPV4", switch("EnableIPv4", True)),
        "IPv6": ("IPV6", switch("EnableIPv6", False)),
        "Internal": ("INTERNAL", switch("Internal", False)),
        "Label": ("LABEL", lambda network: lambda name: (network.get("Labels") or {}).get(name, "")),
        "Labels": ("LABELS", labels),
        "Name": ("NAME", lambda network: network["Name"]),
        "Scope": ("SCOPE", lambda network: network["Scope"]),
    }


def _create(ctx: Context, values: Values, arguments: list[str]) -> None:
    body: dict[str, Any] = {
        "Name": arguments[0],
        "Driver": values["driver"],
        "Options": pairs(values["opt"]),
        "Labels": pairs(values["label"]),
        "IPAM": {
            "Driver": values["ipam-driver"],
            "Options": pairs(values["ipam-opt"]),
            "Config": _subnets(values),
        },
    }
    for flag, field in (
        ("attachable", "Attachable"),
        ("internal", "Internal"),
        ("config-only", "ConfigOnly"),
        ("scope", "Scope"),
        ("ipv4", "EnableIPv4"),
        ("ipv6", "EnableIPv6"),
    ):
        if flag in values:
            body[field] = values[flag]
    if values["config-from"]:
        body["ConfigFrom"] = {"Network": values["config-from"]}
    answer = ctx.engine.call("POST", "/networks/create", json=body)
    if answer.get("Warning"):
        ctx.err(f"WARNING: {answer['Warning']}")
    ctx.out(answer["Id"])


_IN_SUBNET = (("gateway", "Gateway"), ("ip-range", "IPRange"), ("aux-address", "AuxiliaryAddresses"))


def _subnets(values: Values) -> list[dict[str, Any]]:
    """The pools: each subnet with the gateway, range and auxiliary addresses that lie in it."""
    from ipaddress import ip_address, ip_network

    try:
        pools: list[tuple[Any, dict[str, Any]]] = [
            (ip_network(text, strict=False), {"Subnet": text}) for text in _split(values["subnet"])
        ]
        for flag, field in _IN_SUBNET:
            for text in _split(values[flag]):
                name, _, address = text.rpartition("=")
                inner = ip_address(address.partition("/")[0])
                pool = next((pool for subnet, pool in pools if inner in subnet), None)
                if pool is None:
                    raise InvalidArgument(f"no matching subnet for {flag} {address}")
                if name:
                    pool.setdefault(field, {})[name] = address
                else:
                    pool[field] = text
    except ValueError as error:
        raise InvalidArgument(str(error)) from error
    return [pool for _, pool in pools]


def _split(texts: list[str]) -> list[str]:
    return [part for text in texts for part in text.split(",") if part]


def _rm(ctx: Context, values: Values, names: list[str]) -> int:
    from lodge.client.failures import RefusedNotFound

    def one(name: str) -> str | None:
        try:
            ctx.engine.call("DELETE", f"/networks/{quote(name)}")
        except RefusedNotFound as error:
            if not values["force"]:
                raise
            ctx.err(f"Error response from daemon: {error.message}")
            return None
        return name

    return for_each(ctx, names, one)


def _connect(ctx: Context, values: Values, arguments: list[str]) -> None:
    endpoint: dict[str, Any] = {}
    ipam: dict[str, Any] = {}
    for flag, field in (("ip", "IPv4Address"), ("ip6", "IPv6Address")):
        if values[flag]:
            ipam[field] = values[flag]
    if values["link-local-ip"]:
        ipam["LinkLocalIPs"] = _split(values["link-local-ip"])
    if ipam:
        endpoint["IPAMConfig"] = ipam
    if values["alias"]:
        endpoint["Aliases"] = _split(values["alias"])
    if values["link"]:
        endpoint["Links"] = values["link"]
    if values["driver-opt"]:
        endpoint["DriverOpts"] = pairs(_split(values["driver-opt"]))
    if "gw-priority" in values:
        endpoint["GwPriority"] = values["gw-priority"]
    body = {"Container": arguments[1], "EndpointConfig": endpoint}
    ctx.engine.call("POST", f"/networks/{quote(arguments[0])}/connect", json=body)


def _disconnect(ctx: Context, values: Values, arguments: list[str]) -> None:
    body = {"Container": arguments[1], "Force": values["force"]}
    ctx.engine.call("POST", f"/networks/{quote(arguments[0])}/disconnect", json=body)


def _draw(ctx: Context, values: Values, _arguments: list[str]) -> None:
    from lodge.cli import drawing

    networks = ctx.engine.call("GET", "/networks")
    containers = ctx.engine.call("GET", "/containers/json")
    if values["format"] not in ("text", "svg"):
        raise InvalidArgument(f"unknown format {values['format']}", hint="text and svg are known")
    picture = (drawing.svg if values["format"] == "svg" else drawing.text)(networks, containers)
    if not values["output"]:
        ctx.out(picture.rstrip("\n"))
        return
    with open(values["output"], "w", encoding="utf-8") as file:
        file.write(picture)


LS = Command(
    "[OPTIONS]",
    "List networks",
    _ls,
    flags=(
        Flag("filter", FILTER, "Show only those with name=value", short="f"),
        Flag("format", STRING, "Print by a Go template, as json, or as a table of your own"),
        Flag("no-trunc", BOOL, "Do not shorten anything"),
        Flag("quiet", BOOL, "Print IDs only", short="q"),
    ),
)
CREATE = Command(
    "[OPTIONS] NETWORK",
    "Create a network",
    _create,
    flags=(
        Flag("attachable", BOOL, "Let containers be attached by hand"),
        Flag("aux-address", LIST, "An address that is taken, as name=address"),
        Flag("config-from", STRING, "Take the settings of this network"),
        Flag("config-only", BOOL, "Make settings only"),
        Flag("driver", STRING, "The driver that makes it", short="d", default="bridge"),
        Flag("gateway", LIST, "The gateway of a subnet"),
        Flag("ingress", BOOL, "", hidden=True, refuses="only a swarm has this"),
        Flag("internal", BOOL, "Keep it away from other networks"),
        Flag("ip-range", LIST, "Give addresses of this part of a subnet"),
        Flag("ipam-driver", STRING, "The driver that gives addresses", default="default"),
        Flag("ipam-opt", MAP, "An option of that driver, as name=value"),
        Flag("ipv4", BOOL, "Give IPv4 addresses", default=True),
        Flag("ipv6", BOOL, "Give IPv6 addresses"),
        Flag("label", LABEL, "A label, as name=value"),
        Flag("opt", MAP, "An option of the driver, as name=value", short="o"),
        Flag("scope", STRING, "Its scope"),
        Flag("subnet", LIST, "A subnet, as address/bits"),
    ),
    minimum=1,
    maximum=1,
)
RM = Command(
    "[OPTIONS] NETWORK [NETWORK...]",
    "Remove one or more networks",
    _rm,
    flags=(Flag("force", BOOL, "It is no failure when there is none", short="f"),),
    minimum=1,
    maximum=ANY,
    complete="network",
)
CONNECT = Command(
    "[OPTIONS] NETWORK CONTAINER",
    "Connect a container to a network",
    _connect,
    flags=(
        Flag("alias", LIST, "A further name there"),
        Flag("driver-opt", LIST, "An option of the driver, as name=value"),
        Flag("gw-priority", INT, "The highest gives the default gateway"),
        Flag("ip", STRING, "Its IPv4 address"),
        Flag("ip6", STRING, "Its IPv6 address"),
        Flag("link", LINK, "Link to a container, as name[:alias]"),
        Flag("link-local-ip", LIST, "A link-local address of it"),
    ),
    minimum=2,
    maximum=2,
    complete="network",
)
DISCONNECT = Command(
    "[OPTIONS] NETWORK CONTAINER",
    "Disconnect a container from a network",
    _disconnect,
    flags=(Flag("force", BOOL, "Also from a network that is not there", short="f"),),
    minimum=2,
    maximum=2,
    complete="network",
)
DRAW = Command(
    "[OPTIONS]",
    "Draw hosts, networks, containers and ports as they are now",
    _draw,
    flags=(
        Flag("format", STRING, "How: text or svg", default="text"),
        Flag("output", STRING, "Write it to this file", short="o"),
    ),
    maximum=0,
)
