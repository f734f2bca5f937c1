"""Networks as far as they exist: bridge, host and none, to look at. There is no way to make one yet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from lodge.api.call import Call
from lodge.api.queries import Filters
from lodge.api.requests import NetworkConnect, NetworkCreate
from lodge.api.router import Route
from lodge.api.times import rfc3339
from lodge.engine.models import Container
from lodge.errors import Forbidden, InvalidArgument, NotFound, Unsupported

_DRIVERS = {"bridge": "bridge", "host": "host", "none": "null"}
_FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")
_NOT_YET = "user-defined networks are not offered by this engine yet"


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("GET", "/networks", list_networks),
        Route("GET", "/networks/", list_networks),
        Route("POST", "/networks/create", create),
        Route("POST", "/networks/prune", prune, since=25),
        Route("POST", "/networks/{name}/connect", connect),
        Route("POST", "/networks/{name}/disconnect", connect),
        Route("GET", "/networks/{name}", inspect),
        Route("DELETE", "/networks/{name}", remove),
    ]


def network_id(name: str) -> str:
    """The id of a predefined network: the same on every engine, since nothing about it differs."""
    return hashlib.sha256(f"lodge network {name}".encode()).hexdigest()


def _shape(name: str, members: list[Container] | None = None) -> dict[str, Any]:
    containers = {
        one.id: {
            "Name": one.name,
            "EndpointID": one.networks[name].endpoint_id,
            "MacAddress": one.networks[name].mac_address,
            "IPv4Address": one.networks[name].ip_address,
            "IPv6Address": one.networks[name].global_ipv6_address,
        }
        for one in members or ()
    }
    return {
        "Name": name,
        "Id": network_id(name),
        "Created": rfc3339(0),
        "Scope": "local",
        "Driver": _DRIVERS[name],
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": [] if name == "bridge" else None},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": containers,
        "Options": {},
        "Labels": {},
    }


def _find(term: str) -> str:
    """The name of the network that a name or the beginning of an id means."""
    for name in _DRIVERS:
        if term in (name, network_id(name)):
            return name
    found = [name for name in _DRIVERS if term and network_id(name).startswith(term)]
    if len(found) > 1:
        raise InvalidArgument(f"network {term} is ambiguous ({len(found)} matches found based on ID prefix)")
    if not found:
        raise NotFound(f"network {term} not found")
    return found[0]


def list_networks(call: Call) -> None:
    """GET /networks."""
    filters = call.form.filters()
    for key in filters:
        if key not in _FILTERS:
            raise InvalidArgument(f"invalid filter '{key}'")
    call.reply([_shape(name) for name in _DRIVERS if _matches(name, filters)])


def _matches(name: str, filters: Filters) -> bool:
    tests: dict[str, Callable[[str], bool]] = {
        "driver": lambda value: value == _DRIVERS[name],
        "id": network_id(name).startswith,
        "name": lambda value: value in name,
        "scope": lambda value: value == "local",
        "type": lambda value: value == "builtin",
        "label": lambda _: False,
        "dangling": lambda value: value.lower() in ("0", "false"),
    }
    for value in filters.get("type", ()):
        if value not in ("builtin", "custom"):
            raise InvalidArgument(f"invalid filter: 'type'='{value}'")
    return all(any(tests[key](value) for value in values) for key, values in filters.items())


async def inspect(call: Call) -> None:
    """GET /networks/{id}."""
    name = _find(call.name)
    running = await call.backend.containers.list(all=False, limit=0, filters={})
    call.reply(_shape(name, [one for one in running if name in one.networks]))


async def create(call: Call) -> None:
    """POST /networks/create."""
    asked = await call.json(NetworkCreate)
    if asked.name in _DRIVERS or asked.name == "default":
        raise Forbidden(f"operation is not permitted on predefined {asked.name} network ")
    raise Unsupported(_NOT_YET)


async def connect(call: Call) -> None:
    """POST /networks/{id}/connect and disconnect."""
    asked = await call.json(NetworkConnect)
    name = _find(call.name)
    await call.backend.containers.get(asked.container)
    if name == "host":
        raise InvalidArgument("container cannot be connected to host network")
    raise Unsupported(_NOT_YET)


def remove(call: Call) -> None:
    """DELETE /networks/{id}."""
    raise Forbidden(f"{_find(call.name)} is a pre-defined network and cannot be removed")


def prune(call: Call) -> None:
    """POST /networks/prune: the predefined ones stay."""
    for key in call.form.filters():
        if key not in ("label", "label!", "until"):
            raise InvalidArgument(f"invalid filter '{key}'")
    call.reply({"NetworksDeleted": None})
