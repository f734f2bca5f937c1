"""The engine, assembled: one root directory, its hands, its parts, and the faces that callers see.

`lodge.api.backend.Backend` is what it fulfils. Opened and used on one event loop; one owner a data root.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lodge.engine import hostfacts
from lodge.engine.bridge import Bridge
from lodge.engine.build.kept import Kept
from lodge.engine.census import Census
from lodge.engine.containers.committing import Committer
from lodge.engine.containers.creation import Creator
from lodge.engine.containers.ending import Ending
from lodge.engine.containers.facade import Containers
from lodge.engine.containers.facts import Facts
from lodge.engine.containers.health import HealthKeeper
from lodge.engine.containers.recovery import Recovery
from lodge.engine.containers.removal import Remover
from lodge.engine.containers.starting import Starter
from lodge.engine.containers.stopping import Stopper
from lodge.engine.containers.unhealthy import UnhealthyActor
from lodge.engine.events import EventBus
from lodge.engine.execs import Execs
from lodge.engine.images.catalog import Catalog
from lodge.engine.images.facade import Images
from lodge.engine.images.parentage import Parentage
from lodge.engine.machines import Machines
from lodge.engine.networks import predefined
from lodge.engine.networks.attaching import Attachments
from lodge.engine.networks.book import Book
from lodge.engine.networks.facade import Networks
from lodge.engine.networks.wiring import Wiring
from lodge.engine.parts import Parts
from lodge.engine.planning.host import HostFacts
from lodge.engine.planning.usual import usual_config
from lodge.engine.secrets import Secrets
from lodge.engine.settings import Settings
from lodge.engine.state.database import Database
from lodge.engine.state.rows import Rows
from lodge.engine.system import System
from lodge.engine.volumes import Volumes
from lodge.errors import Conflict, Unsupported
from lodge.runtime.launcher import Launcher
from lodge.store.store import Store
from lodge.volume.secrets import SecretStore
from lodge.volume.store import VolumeStore

if TYPE_CHECKING:
    from lodge.engine.build.builds import Builds
    from lodge.network.contract import Hands

_log = logging.getLogger(__name__)


class Engine:
    """Make it, `await open()`, use its faces, `await close()`. Containers live on after `close`."""

    containers: Containers
    execs: Execs
    images: Images
    networks: Networks
    volumes: Volumes
    secrets: Secrets
    system: System

    def __init__(
        self,
        settings: Settings,
        *,
        facts: HostFacts | None = None,
        launcher: Launcher | None = None,
        hands: Hands | None = None,
    ) -> None:
        """A launcher that has begun already saves time; it is the engine's then once `open` succeeds.

        `hands` stand in for those of the network room.
        """
        self.settings = settings
        self._given_facts = facts
        self._given_launcher = launcher
        self._given_hands = hands
        self._lock = -1
        self._opened = False
        self._builds: Builds | None = None
        self.parts: Parts
        self._database: Database
        self._ending: Ending

    async def open(self) -> None:
        """Own the root, start the zygote, meet containers again that lived on.

        Conflict when another process owns the root; Unsupported for settings that can't be served.
        """
        self._check()
        self._make_directories()
        self._lock = own(self.settings.data_root)
        try:
            await self._assemble()
            await Recovery(self.parts, self._facts, self._ending, self._remover, self.execs).run()
        except BaseException:
            await self.close()
            raise

    def _check(self) -> None:
        if os.geteuid() != 0:
            raise Unsupported(
                "the engine needs to be root on this host", hint="run it with sudo, or as a service"
            )

    def _make_directories(self) -> None:
        settings = self.settings
        # Files of containers must not be reachable for the host's users (CVE-2021-41091).
        os.makedirs(settings.data_root, 0o710, exist_ok=True)
        os.makedirs(os.path.join(settings.data_root, "containers"), 0o710, exist_ok=True)
        os.makedirs(os.path.join(settings.data_root, "cache", "seccomp"), 0o700, exist_ok=True)
        os.makedirs(settings.exec_root, 0o711, exist_ok=True)
        os.makedirs(os.path.join(settings.exec_root, "containers"), 0o700, exist_ok=True)
        os.makedirs(os.path.join(settings.exec_root, "place"), 0o700, exist_ok=True)

    async def _assemble(self) -> None:
        settings = self.settings
        bridge = Bridge()
        launcher = self._given_launcher or Launcher(
            settings.exec_root, settings.data_root, usual=usual_config(settings.shm_size)
        )
        # The zygote takes some 50 ms to start, the rest of the engine meanwhile as long.
        starting = asyncio.ensure_future(bridge.call(launcher.open))
        try:
            store = Store(settings.data_root, snapshotter=settings.snapshotter or None)
            self._database = Database(os.path.join(settings.data_root, "state.db"))
            volumes = VolumeStore(os.path.join(settings.data_root, "volumes"))
            facts = self._given_facts or hostfacts.gather(settings.userns_remap)
        finally:
            await starting
        rows, census = Rows(self._database), Census()
        book = Book(rows)
        predefined.ensure(book, settings)
        self.parts = Parts(
            settings=settings,
            facts=facts,
            bridge=bridge,
            rows=rows,
            events=EventBus(),
            census=census,
            store=store,
            volumes=volumes,
            secrets=SecretStore(os.path.join(settings.data_root, "secrets")),
            launcher=launcher,
            images=Catalog(store, bridge, Parentage(rows)),
            book=book,
            wiring=Wiring(settings, bridge, rows, book, census, self._given_hands),
        )
        self._opened = True
        self._put_together()

    def _put_together(self) -> None:
        parts = self.parts
        health = HealthKeeper(parts)
        self._attachments = attachments = Attachments(parts)
        self._ending = ending = Ending(parts, health, attachments)
        self._facts = Facts(parts, ending, attachments)
        starter = Starter(parts, self._facts, attachments)
        stopper = Stopper(parts, starter, ending)
        self._remover = remover = Remover(parts, stopper, ending)
        self.execs = Execs(parts)
        ending.start = lambda resident: starter.start(resident, by_policy=True)
        ending.remove = lambda resident: remover.remove(resident, force=True, volumes=True)
        health.probe = self.execs.probe
        health.unhealthy = UnhealthyActor(stopper).act
        committer = Committer(parts, stopper)
        self.containers = Containers(parts, Creator(parts), starter, stopper, remover, committer, attachments)
        self.networks = Networks(parts, attachments)
        self.images = Images(parts)
        self.volumes = Volumes(parts)
        self.secrets = Secrets(parts)
        self.machines = Machines(parts)
        self.system = System(parts, self.images, self.volumes)
        self._kept = Kept(self._database)
        parts.store.keep_layers(self._kept.chains)

    @property
    def builds(self) -> Builds:
        """Builds; made, and their code loaded, when the first is asked for."""
        if self._builds is None:
            from lodge.engine.build.builds import Builds
            from lodge.engine.build.memory import Memory

            store = self.parts.store
            memory = Memory(self._database, store.layers, self._kept, store.leases.protects)
            self._builds = Builds(self.parts, self.images, memory, self._attachments)
        return self._builds

    async def close(self) -> None:
        """Leave: containers, their monitors and their logs go on. Idempotent."""
        if self._opened:
            self._opened = False
            parts = self.parts
            if self._builds is not None:
                await self._builds.close()
            await self._ending.close()
            for resident in parts.census:
                for task in (resident.restart, resident.health):
                    if task is not None:
                        task.cancel()
                if resident.keeper is not None:
                    resident.keeper.close()
            parts.events.close()
            await self._attachments.close()
            await parts.wiring.close()
            await asyncio.get_running_loop().run_in_executor(None, self._close_hands)
            self._database.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _close_hands(self) -> None:
        self.parts.launcher.close()
        self.images.distribution.close()
        self.parts.bridge.close()
        self.parts.store.close()


def own(data_root: str) -> int:
    """Take the data root; the fd holds it. Conflict, with who has it and what to do, when it is taken."""
    fd = os.open(os.path.join(data_root, "engine.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(fd, 32, 0).decode(errors="replace").strip()
        os.close(fd)
        raise Conflict(
            f"the data root {data_root} is in use by process {owner or 'unknown'}",
            hint="talk to that engine through its socket, or choose another root",
        ) from None
    with suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd
