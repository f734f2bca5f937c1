"""Events of containers, with the attributes that Docker gives them."""

from __future__ import annotations

from lodge.engine.census import Resident
from lodge.engine.models import Container
from lodge.engine.parts import Parts


def announce(parts: Parts, resident: Resident, action: str, **further: str) -> None:
    """Publish that something happened to a container; its row must be written by now."""
    config = resident.container.wish.config
    attributes = {**further, **(config.labels or {})}
    if config.image:
        attributes["image"] = config.image
    attributes["name"] = resident.container.name
    parts.events.publish("container", action, resident.id, attributes)


def announce_mounts(parts: Parts, container: Container) -> None:
    """Publish that the volumes of a container that starts are in use."""
    for mount in container.mounts:
        if mount.type == "volume":
            attributes = {
                "container": container.id,
                "destination": mount.destination,
                "driver": mount.driver,
                "propagation": mount.propagation,
                "read/write": str(mount.read_write).lower(),
            }
            parts.events.publish("volume", "mount", mount.name, attributes)


def announce_unmounts(parts: Parts, container: Container) -> None:
    """Publish that a container that has ended lets its volumes go."""
    for mount in container.mounts:
        if mount.type == "volume":
            attributes = {"container": container.id, "driver": mount.driver}
            parts.events.publish("volume", "unmount", mount.name, attributes)
