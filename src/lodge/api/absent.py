"""What this engine is not: a swarm's manager, a host of plugins. Each is answered as Docker would.

A Docker engine outside a swarm, without plugins and without experimental features says exactly this.
"""

from __future__ import annotations

from lodge.api.call import Call
from lodge.api.router import Route
from lodge.errors import InvalidArgument, NotFound, Unavailable, Unsupported

_NOT_A_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
    "to swarm and try again."
)

_SWARM = (
    ("GET", "/nodes"), ("GET", "/nodes/{id}"), ("DELETE", "/nodes/{id}"), ("POST", "/nodes/{id}/update"),
    ("GET", "/swarm"), ("POST", "/swarm/update"), ("GET", "/swarm/unlockkey"), ("POST", "/swarm/unlock"),
    ("GET", "/services"), ("POST", "/services/create"), ("GET", "/services/{id}"),
    ("DELETE", "/services/{id}"), ("POST", "/services/{id}/update"), ("GET", "/services/{id}/logs"),
    ("GET", "/tasks"), ("GET", "/tasks/{id}"), ("GET", "/tasks/{id}/logs"),
    ("GET", "/secrets"), ("POST", "/secrets/create"), ("GET", "/secrets/{id}"), ("DELETE", "/secrets/{id}"),
    ("POST", "/secrets/{id}/update"),
    ("GET", "/configs"), ("POST", "/configs/create"), ("GET", "/configs/{id}"), ("DELETE", "/configs/{id}"),
    ("POST", "/configs/{id}/update"),
)  # fmt: skip

_PLUGIN = (
    ("GET", "/plugins/{name}/json"), ("DELETE", "/plugins/{name}"), ("POST", "/plugins/{name}/enable"),
    ("POST", "/plugins/{name}/disable"), ("POST", "/plugins/{name}/upgrade"),
    ("POST", "/plugins/{name}/push"), ("POST", "/plugins/{name}/set"),
)  # fmt: skip

_PLUGIN_MAKING = (("GET", "/plugins/privileges"), ("POST", "/plugins/pull"), ("POST", "/plugins/create"))


def routes() -> list[Route]:
    """The table of this module."""
    return [
        *(Route(method, path, not_a_manager) for method, path in _SWARM),
        Route("POST", "/swarm/leave", leave_swarm),
        Route("POST", "/swarm/init", no_swarm),
        Route("POST", "/swarm/join", no_swarm),
        Route("GET", "/plugins", list_plugins),
        *(Route(method, path, no_such_plugin) for method, path in _PLUGIN),
        *(Route(method, path, no_plugins) for method, path in _PLUGIN_MAKING),
        Route("GET", "/containers/{name}/checkpoints", experimental),
        Route("POST", "/containers/{name}/checkpoints", experimental),
    ]


def not_a_manager(call: Call) -> None:
    """Swarm's own endpoints, outside a swarm."""
    del call
    raise Unavailable(_NOT_A_MANAGER)


def leave_swarm(call: Call) -> None:
    """POST /swarm/leave."""
    del call
    raise Unavailable("This node is not part of a swarm")


def no_swarm(call: Call) -> None:
    """POST /swarm/init and join."""
    del call
    raise Unsupported("swarm mode is not offered by this engine")


def list_plugins(call: Call) -> None:
    """GET /plugins."""
    for key in call.form.filters():
        if key not in ("capability", "enabled"):
            raise InvalidArgument(f"invalid filter '{key}'")
    call.reply([])


def no_such_plugin(call: Call) -> None:
    """Anything about one plugin."""
    raise NotFound(f'plugin "{call.name}" not found')


def no_plugins(call: Call) -> None:
    """Installing plugins."""
    del call
    raise Unsupported("plugins are not offered by this engine")


def experimental(call: Call) -> None:
    """Checkpoints."""
    del call
    raise Unsupported(
        "This experimental feature is disabled by default. Start the Docker daemon in experimental mode "
        "in order to enable it."
    )
