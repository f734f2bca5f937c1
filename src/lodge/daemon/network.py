"""The daemon's settings of networks: dockerd's keys, checked, as the engine takes them. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from msgspec import Struct

from lodge.engine.settings import AddressPool, NetworkSettings
from lodge.errors import InvalidArgument

if TYPE_CHECKING:
    from lodge.daemon.config import Config

_PUBLISH = ("kernel", "proxy")


class Pool(Struct, forbid_unknown_fields=True):
    """An entry of default-address-pools."""

    base: str
    size: int


def settings(config: Config) -> NetworkSettings:
    """What the engine needs of all keys; InvalidArgument for values that can't be."""
    _check(config)
    return NetworkSettings(
        bridge=config.bridge,
        bip=config.bip,
        bip6=config.bip6,
        fixed_cidr=config.fixed_cidr,
        fixed_cidr_v6=config.fixed_cidr_v6,
        gateway=config.default_gateway,
        gateway6=config.default_gateway_v6,
        pools=[AddressPool(pool.base, pool.size) for pool in config.default_address_pools],
        mtu=config.mtu,
        icc=config.icc,
        ipv6=config.ipv6,
        bind_address=config.ip,
        forward=config.ip_forward,
        masquerade=config.ip_masq,
        firewall=config.iptables,
        firewall6=config.ip6tables,
        proxy=config.userland_proxy,
        publish=config.publish_mode,
        options=config.default_network_opts,
        host_gateways=config.host_gateway_ips,
    )


def _check(config: Config) -> None:
    for key, text in (
        ("ip", config.ip),
        ("default-gateway", config.default_gateway),
        ("default-gateway-v6", config.default_gateway_v6),
        *(("host-gateway-ip", address) for address in config.host_gateway_ips),
    ):
        if text:
            try:
                ipaddress.ip_address(text)
            except ValueError:
                raise InvalidArgument(
                    f'invalid argument for "{key}": IP address is not correctly formatted: {text}'
                ) from None
    for key, text in (
        ("bip", config.bip),
        ("bip6", config.bip6),
        ("fixed-cidr", config.fixed_cidr),
        ("fixed-cidr-v6", config.fixed_cidr_v6),
    ):
        if text:
            try:
                ipaddress.ip_interface(text)
            except ValueError:
                raise InvalidArgument(f'invalid CIDR address: {text} (of "{key}")') from None
    if config.bridge and config.bip and config.bridge != "none":
        raise InvalidArgument("you specified -b & --bip, mutually exclusive options. Please specify only one")
    if config.bridge == "none" and config.bip:
        raise InvalidArgument("bip needs the default bridge, which --bridge=none leaves out")
    if config.mtu < 0 or 0 < config.mtu < 68:
        raise InvalidArgument(f"invalid default MTU: {config.mtu}")
    if not config.iptables and not config.icc:
        raise InvalidArgument(
            "you specified --iptables=false with --icc=false. ICC=false uses iptables to function. "
            "Please set --icc or --iptables to true"
        )
    if config.publish_mode not in _PUBLISH:
        raise InvalidArgument(f"invalid publish mode: {config.publish_mode}", hint="known are kernel, proxy")
    if config.firewall_backend not in ("", "nftables"):
        raise InvalidArgument(f"the firewall backend {config.firewall_backend!r} is not offered, nftables is")
