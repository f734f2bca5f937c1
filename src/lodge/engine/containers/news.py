"""Events of containers, with the attributes that Docker gives them."""

from __future__ import annotations

from lodge.engine.census import Resident
from lodge.engine.parts import Parts


def announce(parts: Parts, resident: Resident, action: str, **further: str) -> None:
    """Publish that something happened to a container; its row must be written by now."""
    config = resident.container.wish.config
    attributes = {**further, **(config.labels or {})}
    if config.image:
        attributes["image"] = config.image
    attributes["name"] = resident.container.name
    parts.events.publish("container", action, resident.id, attributes)
