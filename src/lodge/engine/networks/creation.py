"""Making a network: checked, given subnets, made by the hands, written down. A failure leaves nothing."""

from __future__ import annotations

import copy
import time

from lodge.engine import names
from lodge.engine.models import Network
from lodge.engine.networks import options
from lodge.engine.networks.wiring import made_of_links
from lodge.engine.parts import Parts
from lodge.errors import Forbidden, InvalidArgument, NotFound

_LINKED = ("bridge", "overlay", "vxlan")


async def create(parts: Parts, wanted: Network, *, ingress: bool = False) -> Network:
    """Make one of a wish without id; see `options` for what is refused. Conflict for a name that is there."""
    options.check_kind(wanted, ingress=ingress)
    parts.book.reserve(wanted.name)
    try:
        network = _complete(parts, wanted)
        if made_of_links(network):
            await _make(parts, network)
        parts.book.save(network)
    finally:
        parts.book.release(wanted.name)
    parts.events.publish("network", "create", network.id, {"name": network.name, "type": network.driver})
    return network


def _complete(parts: Parts, wanted: Network) -> Network:
    """With its id, the settings that it depends on, the daemon's default options, and the link's name."""
    network = copy.copy(wanted)
    network.id, network.created_at = names.new_id(), time.time_ns()
    if network.config_only:
        network.driver = "null"
        return network
    if network.origin:
        _take_settings(parts, network)
    defaults = parts.settings.network.options.get(network.driver, {})
    network.options = {**defaults, **network.options}
    if network.driver == "bridge" and parts.settings.network.mtu:
        network.options.setdefault(options.MTU, str(parts.settings.network.mtu))
    options.check_options(network)
    if network.driver in _LINKED:
        network.link = network.options.get(options.LINK) or f"br-{network.id[:12]}"
        options.check_link(network, {one.link: one for one in parts.book if one.link})
    return network


def _take_settings(parts: Parts, network: Network) -> None:
    """Those of the configuration network that it names."""
    origin = parts.book.named(network.origin)
    if origin is None:
        raise NotFound(f'configuration network "{network.origin}" does not exist')
    if not origin.config_only:
        raise Forbidden(f"configuration network {network.origin} is not a configuration network")
    if network.asked or network.options or network.labels or network.ipv6:
        raise Forbidden(
            "user specified configurations are not supported if the network depends on a configuration"
            " network"
        )
    network.asked = copy.deepcopy(origin.asked)
    network.options, network.labels = dict(origin.options), dict(origin.labels)
    network.ipv4, network.ipv6 = origin.ipv4, origin.ipv6
    network.ipam_driver, network.ipam_options = origin.ipam_driver, origin.ipam_options


async def _make(parts: Parts, network: Network) -> None:
    from lodge.engine.networks import ledgers
    from lodge.engine.planning.sandbox import network_value

    families = [":" in one.subnet for one in network.asked if one.subnet]
    if network.driver == "bridge" and len(families) != len(set(families)):
        raise InvalidArgument("bridge driver doesn't support multiple subnets")
    await parts.wiring.ready()
    hands, ledger = parts.wiring.hands, parts.wiring.ledger
    taken = await parts.bridge.call(hands.taken)
    ledgers.resolve(network, ledger, taken)
    try:
        value = network_value(network)
        await parts.bridge.call(hands.check, value)
        await parts.bridge.call(hands.create, value)
    except BaseException:
        ledger.remove(network.id)
        raise
