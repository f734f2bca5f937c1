"""What may be asked of a network beside addresses: driver, scope, options. Pure, in Docker's words."""

from __future__ import annotations

from collections.abc import Mapping

from lodge.engine.models import Network
from lodge.engine.networks.predefined import NAMES
from lodge.errors import Conflict, Forbidden, InvalidArgument, NotFound, Unavailable

DRIVERS = ("bridge", "macvlan", "ipvlan", "overlay", "vxlan")
PUBLISH = "io.lodge.publish"
_SINGLE = ("host", "null")
_BRIDGE = "com.docker.network.bridge."
_SWITCHES = (
    _BRIDGE + "enable_icc",
    _BRIDGE + "enable_ip_masquerade",
    _BRIDGE + "inhibit_ipv4",
    _BRIDGE + "trusted_host_interfaces_only",
    "com.docker.network.enable_ipv4",
    "com.docker.network.enable_ipv6",
)
_GATEWAY_MODES = ("nat", "routed", "nat-unprotected", "isolated")
MTU = "com.docker.network.driver.mtu"
LINK = _BRIDGE + "name"
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node'
    " to swarm and try again."
)


def check_kind(network: Network, *, ingress: bool) -> None:
    """Name, driver and scope; Forbidden, NotFound, InvalidArgument as Docker says them."""
    if network.name in NAMES:
        raise Forbidden(f"operation is not permitted on predefined {network.name} network")
    if not network.name.strip():
        raise InvalidArgument("invalid name: name is empty")
    if ingress:
        raise InvalidArgument("Ingress network can only be global scope network")
    if network.scope == "swarm":
        raise Unavailable("cannot create a swarm scoped network when swarm is not active")
    if network.scope not in ("local", "global"):
        raise InvalidArgument(f"invalid scope: {network.scope}")
    if network.ipam_driver not in ("default", "null"):
        raise NotFound(f'plugin "{network.ipam_driver}" not found')
    if network.config_only:
        _check_config_only(network)
        return
    if network.driver in _SINGLE:
        raise Forbidden(f'only one instance of "{network.driver}" network is allowed')
    if network.driver == "overlay" and "io.lodge.vxlan.peers" not in network.options:
        raise Unavailable(_NO_SWARM)
    if network.driver not in DRIVERS:
        raise NotFound(f'plugin "{network.driver}" not found')
    if not network.ipv4 and not network.ipv6:
        raise InvalidArgument("IPv4 or IPv6 must be enabled")


def _check_config_only(network: Network) -> None:
    if network.internal or network.attachable or network.scope != "local":
        raise Forbidden(
            "configuration network can only contain network specific fields. Network operator fields like"
            " [ ingress | internal | attachable | scope ] are not supported."
        )
    if network.origin:
        raise Forbidden("a configuration network cannot depend on another configuration network")


def check_options(network: Network) -> None:
    """InvalidArgument for a driver option whose value can't be; options of other drivers are kept unread."""
    options = network.options
    for name in _SWITCHES:
        if name in options:
            _switch(name, options[name])
    if (mtu := options.get(MTU)) is not None:
        if not mtu.lstrip("-").isdecimal():
            raise InvalidArgument(
                f'failed to parse {MTU} value: {mtu} (strconv.Atoi: parsing "{mtu}": invalid syntax)'
            )
        if int(mtu) < 0 or (0 < int(mtu) < 68):
            raise InvalidArgument(f"invalid MTU number: {int(mtu)}")
    for version in ("ipv4", "ipv6"):
        mode = options.get(f"{_BRIDGE}gateway_mode_{version}")
        if mode is not None and mode not in _GATEWAY_MODES:
            raise InvalidArgument(f'unknown gateway mode "{mode}"')
        if mode == "isolated" and not network.internal:
            raise InvalidArgument("gateway mode 'isolated' can only be used for an internal network")
    if options.get(PUBLISH, "kernel") not in ("kernel", "proxy"):
        raise InvalidArgument(f"invalid {PUBLISH}: {options[PUBLISH]}", hint="kernel and proxy are known")
    if len(options.get(LINK, "")) > 15:
        raise InvalidArgument(f"the name of a bridge has at most 15 characters: {options[LINK]}")
    for name in ("io.lodge.egress", "io.lodge.ingress"):
        if name in options:
            from lodge.engine.planning.sandbox import read_rate

            read_rate(options[name])


def _switch(name: str, value: str) -> None:
    if value not in _TRUE and value not in _FALSE:
        raise InvalidArgument(
            f'failed to parse {name} value: {value} (strconv.ParseBool: parsing "{value}": invalid syntax)'
        )


def check_link(network: Network, others: Mapping[str, Network]) -> None:
    """Conflict when another network has the link's name; `others` by these names."""
    other = others.get(network.link)
    if other is not None:
        raise Conflict(
            f"cannot create network {network.id} ({network.link}): conflicts with network {other.id} "
            f"({other.link}): networks have same bridge name"
        )
