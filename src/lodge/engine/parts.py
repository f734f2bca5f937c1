"""What the engine's modules share: one value that the assembly makes and hands around."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import Struct

from lodge.engine.bridge import Bridge
from lodge.engine.census import Census
from lodge.engine.events import EventBus
from lodge.engine.networks.book import Book
from lodge.engine.networks.wiring import Wiring
from lodge.engine.planning.host import HostFacts
from lodge.engine.settings import Settings
from lodge.engine.state.rows import Rows

if TYPE_CHECKING:
    from lodge.engine.images.catalog import Catalog
    from lodge.runtime.launcher import Launcher
    from lodge.store.store import Store
    from lodge.volume.secrets import SecretStore
    from lodge.volume.store import VolumeStore


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
    secrets: SecretStore
    launcher: Launcher
    images: Catalog
    book: Book
    wiring: Wiring

    def directory(self, id: str) -> str:
        """Where a container keeps its files: /etc/hosts and so on, its log."""
        return os.path.join(self.settings.data_root, "containers", id)

    def state_directory(self, id: str) -> str:
        """Where a container's monitor keeps its socket and records."""
        return os.path.join(self.settings.exec_root, "containers", id)

    def secret_directory(self, id: str) -> str:
        """Where the files of a running container's secrets are."""
        return os.path.join(self.settings.exec_root, "secrets", id)
