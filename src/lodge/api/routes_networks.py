"""Networks."""

from __future__ import annotations

from lodge.api.call import Call
from lodge.api.requests import NetworkConnect, NetworkCreate
from lodge.api.router import Route
from lodge.api.shapes_networks import network, wish
from lodge.errors import InvalidArgument, NotFound
from lodge.spec.container import EndpointSettings


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("GET", "/networks", list_networks),
        Route("GET", "/networks/", list_networks),
        Route("POST", "/networks/create", create),
        Route("POST", "/networks/prune", prune, since=25),
        Route("POST", "/networks/{name}/connect", connect),
        Route("POST", "/networks/{name}/disconnect", disconnect),
        Route("GET", "/networks/{name}", inspect),
        Route("DELETE", "/networks/{name}", remove),
    ]


async def list_networks(call: Call) -> None:
    """GET /networks."""
    found = await call.backend.networks.list(call.form.filters())
    call.reply([network(one, call.version) for one in found])


async def inspect(call: Call) -> None:
    """GET /networks/{id}; networks of a swarm are never found."""
    one = await call.backend.networks.get(call.name)
    if (scope := call.form.text("scope")) and scope != one.scope:
        raise NotFound(f"network {call.name} not found")
    call.reply(network(one, call.version, await call.backend.networks.members(one.id)))


async def create(call: Call) -> None:
    """POST /networks/create."""
    asked = await call.json(NetworkCreate)
    made = await call.backend.networks.create(wish(asked, call.version), ingress=asked.ingress)
    call.reply({"Id": made.id, "Warning": ""}, 201)


async def connect(call: Call) -> None:
    """POST /networks/{id}/connect."""
    asked = await call.json(NetworkConnect)
    _check(asked)
    endpoint = asked.endpoint_config or EndpointSettings()
    if call.version < 48:
        endpoint.gw_priority = 0
    if call.version < 54:
        endpoint.mac_address = ""
    await call.backend.networks.connect(call.name, asked.container, endpoint)
    call.exchange.respond(200)


async def disconnect(call: Call) -> None:
    """POST /networks/{id}/disconnect."""
    asked = await call.json(NetworkConnect)
    _check(asked)
    await call.backend.networks.disconnect(call.name, asked.container, force=asked.force)
    call.exchange.respond(200)


def _check(asked: NetworkConnect) -> None:
    if not asked.container:
        raise InvalidArgument("invalid container: the container's name or ID is empty")


async def remove(call: Call) -> None:
    """DELETE /networks/{id}."""
    await call.backend.networks.remove(call.name)
    call.done()


async def prune(call: Call) -> None:
    """POST /networks/prune."""
    pruned = await call.backend.networks.prune(call.form.filters())
    call.reply({"NetworksDeleted": pruned.deleted or None})
