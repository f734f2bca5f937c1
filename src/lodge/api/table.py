"""All routes of this door in one list."""

from __future__ import annotations

from lodge.api import (
    absent,
    routes_build,
    routes_containers,
    routes_content,
    routes_files,
    routes_images,
    routes_lifecycle,
    routes_machines,
    routes_networks,
    routes_registries,
    routes_secrets,
    routes_streams,
    routes_system,
    routes_volumes,
)
from lodge.api.router import Route


def all_routes() -> list[Route]:
    """Every route that is served."""
    modules = (
        routes_system, routes_containers, routes_lifecycle, routes_files, routes_streams, routes_images,
        routes_volumes, routes_networks, routes_registries, routes_secrets, routes_build, routes_content,
        routes_machines, absent,
    )  # fmt: skip
    return [route for module in modules for route in module.routes()]
