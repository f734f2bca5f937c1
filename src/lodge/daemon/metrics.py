"""Figures for Prometheus (text exposition format 0.0.4), under the names that dockerd gives them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from lodge.api.backend import Backend
from lodge.http.exchange import Exchange
from lodge.http.server import Server
from lodge.wire import versions

_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_STATES = ("paused", "running", "stopped")


def handler(backend: Backend, server: Server) -> Callable[[Exchange], Coroutine[Any, Any, None] | None]:
    """What serves GET /metrics over the figures of a backend and the API's own server."""

    async def answer(exchange: Exchange) -> None:
        info = await backend.system.info()
        exchange.respond(200, _text(info, server).encode(), content_type=_TYPE)

    def handle(exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        if exchange.head.path == "/metrics" and exchange.head.method == "GET":
            return answer(exchange)
        exchange.respond(404, b"404 page not found\n", content_type="text/plain; charset=utf-8")
        return None

    return handle


def _text(info: dict[str, Any], server: Server) -> str:
    lines = ["# TYPE engine_daemon_container_states_containers gauge"]
    for state in _STATES:
        count = info.get(f"Containers{state.capitalize()}", 0)
        lines.append(f'engine_daemon_container_states_containers{{state="{state}"}} {count}')
    labels = f'version="{versions.ENGINE}",kernel="{info.get("KernelVersion", "")}"'
    lines += [
        "# TYPE engine_daemon_engine_info gauge",
        f"engine_daemon_engine_info{{{labels}}} 1",
        "# TYPE engine_daemon_engine_cpus_cpus gauge",
        f"engine_daemon_engine_cpus_cpus {info.get('NCPU', 0)}",
        "# TYPE engine_daemon_engine_memory_bytes gauge",
        f"engine_daemon_engine_memory_bytes {info.get('MemTotal', 0)}",
        "# TYPE engine_daemon_events_subscribers_total gauge",
        f"engine_daemon_events_subscribers_total {info.get('NEventsListener', 0)}",
        "# TYPE lodge_api_connections gauge",
        f"lodge_api_connections {len(server.connections)}",
    ]
    return "\n".join([*lines, ""])
