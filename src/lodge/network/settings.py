"""A network's options, taken apart: Docker's words for bridge, macvlan, ipvlan, overlay, and a few of ours.

Pure. InvalidArgument for a value that means nothing; an option that no driver knows is refused where the
network is checked, never ignored.
"""

from __future__ import annotations

from msgspec import Struct

from lodge.errors import InvalidArgument
from lodge.kernel.netlink.links import IPVLAN_FLAGS, IPVLAN_MODES, MACVLAN_MODES
from lodge.network.contract import Network
from lodge.network.firewall.facts import GATEWAY_MODES

BRIDGE = "com.docker.network.bridge."
DRIVER = "com.docker.network."

_COMMON = {DRIVER + "driver.mtu", DRIVER + "container_iface_prefix"}
_BRIDGE_OPTIONS = _COMMON | {
    BRIDGE + "name",
    BRIDGE + "default_bridge",
    BRIDGE + "enable_ip_masquerade",
    BRIDGE + "enable_icc",
    BRIDGE + "host_binding_ipv4",
    BRIDGE + "inhibit_ipv4",
    BRIDGE + "gateway_mode_ipv4",
    BRIDGE + "gateway_mode_ipv6",
    BRIDGE + "trusted_host_interfaces",
    DRIVER + "host_ipv4",
    DRIVER + "host_ipv6",
    DRIVER + "enable_ipv4",
    DRIVER + "enable_ipv6",
    "io.lodge.publish",
    "io.lodge.antispoof",
}
_VXLAN = "com.docker.network.driver.overlay.vxlanid_list"
_OVERLAY_OPTIONS = _BRIDGE_OPTIONS | {
    _VXLAN,
    "io.lodge.vxlan.peers",
    "io.lodge.vxlan.local",
    "io.lodge.vxlan.port",
    "encrypted",
}
KNOWN = {
    "bridge": _BRIDGE_OPTIONS,
    "macvlan": _COMMON | {"parent", "macvlan_mode"},
    "ipvlan": _COMMON | {"parent", "ipvlan_mode", "ipvlan_flag"},
    "overlay": _OVERLAY_OPTIONS,
}

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


class BridgeSettings(Struct, frozen=True, kw_only=True):
    """The options of a bridge network."""

    icc: bool
    masquerade: bool
    binding: str
    mode4: str
    mode6: str
    prefix: str
    mtu: int
    inhibit4: bool
    trusted: tuple[str, ...]
    source4: str
    source6: str
    publish: str
    antispoof: bool


class ParentSettings(Struct, frozen=True, kw_only=True):
    """The options of macvlan and ipvlan. `tag` 0: the parent is no sub-interface of a vlan."""

    parent: str
    mode: str
    flag: str
    mtu: int
    prefix: str
    trunk: str
    tag: int


class TunnelSettings(Struct, frozen=True, kw_only=True):
    """The options of an overlay: vxlan number, this end's address, the other ends, UDP port."""

    vni: int
    local: str
    peers: tuple[str, ...]
    port: int


def check_known(network: Network) -> None:
    """InvalidArgument for an option that the network's driver does not have."""
    known = KNOWN.get(network.driver)
    if known is None:
        raise InvalidArgument(
            f"could not find plugin {network.driver} in v1 plugin registry: plugin not found"
        )
    for name in network.options:
        if name not in known and not name.startswith("com.docker.compose."):
            raise InvalidArgument(
                f"unknown option {name!r} for a network of driver {network.driver}",
                hint="known are " + ", ".join(sorted(known)),
            )


def bridge(network: Network) -> BridgeSettings:
    """The options of a network of driver bridge (and of the bridge below an overlay)."""
    get = network.options.get
    return BridgeSettings(
        icc=_flag(network, BRIDGE + "enable_icc", default=True),
        masquerade=_flag(network, BRIDGE + "enable_ip_masquerade", default=True),
        binding=get(BRIDGE + "host_binding_ipv4", ""),
        mode4=_mode(network, "ipv4"),
        mode6=_mode(network, "ipv6"),
        prefix=get(DRIVER + "container_iface_prefix") or "eth",
        mtu=_number(network, DRIVER + "driver.mtu"),
        inhibit4=_flag(network, BRIDGE + "inhibit_ipv4", default=False),
        trusted=tuple(filter(None, get(BRIDGE + "trusted_host_interfaces", "").split(":"))),
        source4=get(DRIVER + "host_ipv4", ""),
        source6=get(DRIVER + "host_ipv6", ""),
        publish=_word(network, "io.lodge.publish", {"kernel", "proxy"}, ""),
        antispoof=_word(network, "io.lodge.antispoof", {"on", "off"}, "on") == "on",
    )


def parent(network: Network) -> ParentSettings:
    """The options of a network of driver macvlan or ipvlan."""
    get = network.options.get
    link = get("parent", "")
    trunk, _, tag = link.partition(".")
    if network.driver == "macvlan":
        mode, flag = _word(network, "macvlan_mode", set(MACVLAN_MODES), "bridge"), ""
    else:
        mode = _word(network, "ipvlan_mode", set(IPVLAN_MODES), "l2")
        flag = _word(network, "ipvlan_flag", set(IPVLAN_FLAGS), "bridge")
    return ParentSettings(
        parent=link,
        mode=mode,
        flag=flag,
        mtu=_number(network, DRIVER + "driver.mtu"),
        prefix=get(DRIVER + "container_iface_prefix") or "eth",
        trunk=trunk,
        tag=int(tag) if tag.isdigit() and 0 < int(tag) < 4095 else 0,
    )


def tunnel(network: Network) -> TunnelSettings:
    """The options of a network of driver overlay; its number is made of its id where none is given."""
    get = network.options.get
    if _flag(network, "encrypted", default=False):
        raise InvalidArgument("encrypted overlay networks are not supported")
    listed = get(_VXLAN, "")
    if listed and not listed.isdigit():
        raise InvalidArgument(f"invalid vxlan id {listed!r} of network {network.name}")
    return TunnelSettings(
        vni=int(listed) if listed else int(network.id[:6] or "0", 16) | 0x1000,
        local=get("io.lodge.vxlan.local", ""),
        peers=tuple(filter(None, get("io.lodge.vxlan.peers", "").split(","))),
        port=_number(network, "io.lodge.vxlan.port") or 4789,
    )


def _flag(network: Network, name: str, *, default: bool) -> bool:
    value = network.options.get(name, "")
    if value == "":
        return default or name in network.options
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise InvalidArgument(f'strconv.ParseBool: parsing "{value}": invalid syntax (option {name})')


def _number(network: Network, name: str) -> int:
    value = network.options.get(name, "")
    if value and not value.isdigit():
        raise InvalidArgument(f'strconv.Atoi: parsing "{value}": invalid syntax (option {name})')
    return int(value or 0)


def _mode(network: Network, family: str) -> str:
    return _word(network, BRIDGE + "gateway_mode_" + family, set(GATEWAY_MODES), "nat")


def _word(network: Network, name: str, words: set[str], default: str) -> str:
    value = network.options.get(name) or default
    if value not in words and value != default:
        known = ", ".join(sorted(words))
        raise InvalidArgument(f"invalid value {value!r} for option {name}", hint=f"known are {known}")
    return value
