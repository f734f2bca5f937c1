"""What the engine's modules share: one value that the assembly makes and hands around."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from lodge.engine.bridge import Bridge
from lodge.engine.census import Census
from lodge.engine.events import EventBus
from lodge.engine.planning.host import HostFacts
from lodge.engine.settings import Settings
from lodge.engine.state.rows import Rows

if TYPE_CHECKING:
    from lodge.engine.images.catalog import Catalog
    from lodge.runtime.launcher import Launcher
    from lodge.spec.mount import Mount
    from lodge.store.store import Store


class VolumeRecord(Protocol):
    """What the volume room tells of a volume."""

    name: str
    driver: str
    options: dict[str, str] | None
    labels: dict[str, str] | None
    created_at: int
    mountpoint: str
    anonymous: bool


class VolumeStore(Protocol):
    """The volume room, blocking and thread-safe."""

    def create(
        self,
        name: str,
        *,
        driver: str = "local",
        options: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
        anonymous: bool = False,
    ) -> VolumeRecord:
        """Make one, or give the one of this name; Conflict when that has another driver or other options."""
        ...

    def get(self, name: str) -> VolumeRecord:
        """NotFound "get x: no such volume"."""
        ...

    def list(self) -> list[VolumeRecord]:
        """All."""
        ...

    def remove(self, name: str) -> None:
        """NotFound when there is none."""
        ...

    def size(self, name: str) -> int:
        """Bytes on the disk."""
        ...

    def mount(self, name: str, subpath: str = "") -> Mount:
        """What the runtime performs in the container."""
        ...


class Parts(Struct):
    """The engine's parts."""

    settings: Settings
    facts: HostFacts
    bridge: Bridge
    rows: Rows
    events: EventBus
    census: Census
    store: Store
    volumes: VolumeStore
    launcher: Launcher
    images: Catalog

    def directory(self, id: str) -> str:
        """Where a container keeps its files: /etc/hosts and so on, its log."""
        return os.path.join(self.settings.data_root, "containers", id)

    def state_directory(self, id: str) -> str:
        """Where a container's monitor keeps its socket and records."""
        return os.path.join(self.settings.exec_root, "containers", id)
