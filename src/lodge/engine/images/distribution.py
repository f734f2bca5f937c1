"""The engine's way to registries: one set of connections, tokens and transfers, made when first needed.

Also for builds, which pull their bases and push what they made: `pull_now` and `registries` are for blocking
hands. Pulls of clients, with events and progress, are next door in `pulling`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from lodge.engine.settings import Settings
from lodge.wire import versions

if TYPE_CHECKING:
    from lodge.distribution.abort import Abort
    from lodge.distribution.credentials import Credentials
    from lodge.distribution.pulling import Pulled, Tell
    from lodge.distribution.pushing import Pushed, Wishes
    from lodge.distribution.registries import Places, Registries
    from lodge.distribution.settings import RegistrySettings
    from lodge.distribution.transfers import Transfers
    from lodge.spec.descriptor import Descriptor
    from lodge.spec.platform import Platform
    from lodge.spec.reference import Reference
    from lodge.store.store import Store


class Distribution:
    """Registries as this engine is set up to use them. Close it."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._lock = threading.Lock()
        self._registries: Registries | None = None
        self._transfers: Transfers | None = None
        self._pool: ThreadPoolExecutor | None = None

    def registries(self) -> Registries:
        """Return the client for all registries; a new one when the settings were loaded again."""
        from lodge.distribution.registries import Registries

        wanted = registry_settings(self._settings)
        with self._lock:
            if self._registries is None or self._registries.settings != wanted:
                self._registries = Registries(wanted)
            return self._registries

    def transfers(self) -> Transfers:
        """Return the downloads that all pulls share."""
        from lodge.distribution.transfers import Transfers

        with self._lock:
            if self._transfers is None:
                self._transfers = Transfers(self._settings.max_downloads)
            return self._transfers

    def pull_now(
        self,
        reference: Reference,
        tell: Tell,
        abort: Abort,
        *,
        credentials: Credentials | None = None,
        platform: Platform | None = None,
        every_platform: bool = False,
    ) -> Pulled:
        """Pull one image into the store, named. Blocks. Raises as `Puller.pull`."""
        from lodge.distribution.pulling import Puller

        registries = self.registries()
        places = registries.repository(reference, credentials, abort=abort)
        with self._store.lease():
            puller = Puller(registries, self._store.reception, self.transfers())
            return puller.pull(
                reference,
                places,
                tell,
                abort,
                platform=platform,
                every_platform=every_platform,
                admit=self._admission(reference, places),
            )

    def _admission(self, reference: Reference, places: Places) -> Callable[[Descriptor], None] | None:
        """Return the trust policy's say on a pull; None without a policy."""
        if not self._settings.trust_policy:
            return None
        from lodge.engine.images.trust import Gate

        gate = Gate(self._settings.trust_policy, self._settings.data_root)
        return lambda top: gate.admit_pull(reference, places, top.digest)

    def push_now(
        self,
        reference: Reference,
        target: Descriptor,
        tell: Tell,
        abort: Abort,
        *,
        credentials: Credentials | None = None,
        wishes: Wishes | None = None,
    ) -> Pushed:
        """Push one image of the store under a reference's tag. Blocks. Raises as `Pusher.push`.

        An image whose layers had to be compressed is named by its new manifest from then on: what it
        consists of is the same.
        """
        from lodge.distribution.pushing import Pusher, Wishes

        repository = self.registries().own(reference, credentials, abort=abort)
        departure = self._store.departure
        with self._store.lease():
            pusher = Pusher(
                repository,
                reference,
                departure,
                self._uploads(),
                tell,
                abort,
                wishes or Wishes(),
                attempts=self._settings.max_download_attempts,
            )
            pushed = pusher.push(target)
            departure.name(str(reference.with_digest(pushed.target.id)), pushed.target)
            if not pushed.part and reference.tag and pushed.target.digest != target.digest:
                departure.name(str(reference), pushed.target)
            return pushed

    def _uploads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._settings.max_uploads, "lodge-upload")
            return self._pool

    def close(self) -> None:
        """End what is on its way, close connections. Idempotent."""
        with self._lock:
            transfers, self._transfers = self._transfers, None
            registries, self._registries = self._registries, None
            pool, self._pool = self._pool, None
        if transfers is not None:
            transfers.close()
        if pool is not None:
            pool.shutdown(cancel_futures=True)
        if registries is not None:
            registries.close()


def registry_settings(settings: Settings) -> RegistrySettings:
    """Return what the client for registries needs of the engine's settings."""
    from lodge.distribution.settings import RegistrySettings

    return RegistrySettings(
        mirrors=settings.registry_mirrors,
        insecure=settings.insecure_registries,
        registries=settings.registries,
        max_downloads=settings.max_downloads,
        max_uploads=settings.max_uploads,
        max_attempts=settings.max_download_attempts,
        http_proxy=settings.http_proxy,
        https_proxy=settings.https_proxy,
        no_proxy=settings.no_proxy,
        user_agent=f"lodge/{versions.ENGINE}",
    )
