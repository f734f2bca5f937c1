"""What a container asks of networks when it is made or connected: named, checked, in Docker's words."""

from __future__ import annotations

import ipaddress
import re

import msgspec

from lodge.engine.models import Network
from lodge.engine.networks.book import Book
from lodge.engine.networks.predefined import BRIDGE
from lodge.engine.planning.namespaces import HOST, NONE, joined
from lodge.errors import InvalidArgument, NotFound
from lodge.spec.container import EndpointSettings, Wish

_MAC = re.compile(r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}")
_PREDEFINED = (BRIDGE, "default", "")
_SYSCTLS = "com.docker.network.endpoint.sysctls"


def wired(mode: str) -> bool:
    """Whether a NetworkMode gives interfaces at all."""
    return mode not in (HOST, NONE) and not joined(mode)


def settle(book: Book, wish: Wish) -> dict[str, EndpointSettings]:
    """The container's places by the networks' names; an unknown network is the start's failure, as in Docker.

    Conflicting or impossible wishes are InvalidArgument. The wish's endpoints get the same names.
    """
    mode = wish.host.network_mode
    if joined(mode) or wish.config.network_disabled:
        return {}
    given = wish.networking.endpoints_config or {}
    found: dict[str, EndpointSettings] = {}
    for term, endpoint in given.items():
        network = _lookup(book, BRIDGE if term == "default" else term)
        name = network.name if network is not None else term
        if name in found:
            raise InvalidArgument(f'network "{name}" is specified multiple times')
        found[name] = endpoint or EndpointSettings()
        try:
            check(found[name], network, name)
        except InvalidArgument as error:
            raise InvalidArgument(f"invalid config for network {term}: {error.message}") from None
    if not found:
        network = _lookup(book, BRIDGE if mode in _PREDEFINED else mode)
        found[network.name if network is not None else mode] = EndpointSettings()
    if len(found) > 1 and (HOST in found or NONE in found):
        raise InvalidArgument(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
        )
    wish.networking.endpoints_config = dict(found)
    return {name: fresh(endpoint) for name, endpoint in found.items()}


def fresh(asked: EndpointSettings) -> EndpointSettings:
    """A place that nobody has been to: what was asked for, no addresses."""
    return msgspec.structs.replace(
        asked,
        mac_address="",
        network_id="",
        endpoint_id="",
        gateway="",
        ip_address="",
        ip_prefix_len=0,
        ipv6_gateway="",
        global_ipv6_address="",
        global_ipv6_prefix_len=0,
        dns_names=None,
    )


def _lookup(book: Book, term: str) -> Network | None:
    try:
        return book.find(term)
    except NotFound:
        return None


def check(endpoint: EndpointSettings, network: Network | None, name: str) -> None:
    """InvalidArgument "invalid endpoint settings:..." with everything that is wrong, as Docker lists it."""
    ipam = endpoint.ipam_config
    four = ipam.ipv4_address if ipam is not None else ""
    six = ipam.ipv6_address if ipam is not None else ""
    errors: list[str] = []
    if name in _PREDEFINED:
        if four or six:
            errors.append("user specified IP address is supported on user defined networks only")
        if endpoint.aliases:
            errors.append("network-scoped aliases are only supported for user-defined networks")
    if endpoint.mac_address and not _MAC.fullmatch(endpoint.mac_address):
        errors.append(f"invalid MAC address: {endpoint.mac_address}")
    if sysctls := (endpoint.driver_opts or {}).get(_SYSCTLS):
        from lodge.engine.planning.sandbox import endpoint_sysctls

        endpoint_sysctls(sysctls)
    errors += [f"invalid IPv4 address: {four}"] if four and not _is(four, 4) else []
    errors += [f"invalid IPv6 address: {six}"] if six and not _is(six, 6) else []
    for local in (ipam.link_local_ips if ipam is not None else None) or ():
        if not _is(local, 4) and not _is(local, 6):
            errors.append(f"invalid link-local IP address: {local}")
    if network is not None:
        errors += [text for address in (four, six) if address and (text := _outside(address, network))]
    if errors:
        listed = errors[0] if len(errors) == 1 else "* " + "\n* ".join(errors)
        raise InvalidArgument(f"invalid endpoint settings:\n{listed}")


def _is(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def _outside(address: str, network: Network) -> str:
    """Why a static address can't be had in a network; "" when it can."""
    asked = [one.subnet for one in network.asked if one.subnet]
    if network.name == BRIDGE:
        asked = []
    same = [text for text in asked if (":" in text) == (":" in address)]
    if not same:
        return (
            "user specified IP address is supported only when connecting to networks with user configured"
            " subnets"
        )
    try:
        value = ipaddress.ip_address(address)
        inside = any(value in ipaddress.ip_network(text) for text in same)
    except ValueError:
        inside = False
    return "" if inside else f"no configured subnet or ip-range contain the IP address {address}"
