"""All registries, by image name: mirrors first, then the registry itself, each tried before the next.

The way in for the engine, for builds and for tools: `Registries(settings).repository(reference)`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Self, TypeVar

from lodge.distribution import answers
from lodge.distribution.abort import Abort
from lodge.distribution.credentials import Credentials
from lodge.distribution.endpoints import Endpoint, plan
from lodge.distribution.repository import BlobStream, RemoteManifest, Repository
from lodge.distribution.settings import RegistrySettings
from lodge.distribution.tokens import Authorizer
from lodge.distribution.transport import Transport, Unreachable
from lodge.errors import Corrupt, Forbidden, LodgeError, Unavailable
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest
from lodge.spec.reference import Reference

T = TypeVar("T")
_log = logging.getLogger(__name__)
_PASSED_ON = (Unavailable, Forbidden, Corrupt, answers.RegistryError)


class Registries:
    """Connections, tokens and settings for all registries of one engine. Close it. Safe in threads."""

    def __init__(self, settings: RegistrySettings) -> None:
        self.settings = settings
        self.transport = Transport(settings)
        self._authorizers: dict[tuple[str, Credentials | None], Authorizer] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections. Idempotent."""
        self.transport.close()

    def repository(
        self,
        reference: Reference,
        credentials: Credentials | None = None,
        *,
        abort: Abort | None = None,
    ) -> Places:
        """Return the repository that a name means, to read from: mirrors, then the registry itself."""
        endpoints = plan(self.settings, reference.domain, reference.path)
        return Places([self._at(endpoint, credentials, abort, "pull") for endpoint in endpoints])

    def own(
        self,
        reference: Reference,
        credentials: Credentials | None = None,
        *,
        abort: Abort | None = None,
        actions: str = "pull,push",
    ) -> Repository:
        """Return the repository at its registry itself, to write to: mirrors are never written to."""
        endpoint = plan(self.settings, reference.domain, reference.path, mirrored=False)[0]
        return self._at(endpoint, credentials, abort, actions)

    def authorizer(self, endpoint: Endpoint, credentials: Credentials | None) -> Authorizer:
        """Return who answers for these credentials at a place; a mirror never gets the registry's."""
        key = (endpoint.host, credentials if endpoint.own else None)
        with self._lock:
            if key not in self._authorizers:
                if len(self._authorizers) > 256:
                    self._authorizers.clear()
                self._authorizers[key] = Authorizer(self.transport, endpoint, key[1])
            return self._authorizers[key]

    def _at(
        self, endpoint: Endpoint, credentials: Credentials | None, abort: Abort | None, actions: str
    ) -> Repository:
        return Repository(
            self.transport,
            endpoint,
            self.authorizer(endpoint, credentials),
            abort=abort,
            attempts=self.settings.max_attempts if endpoint.own else 2,
            actions=actions,
        )


class Places:
    """One repository at several places. Each question goes to the first that answers it.

    A place that can't be reached is passed over for the rest of this object's life.
    """

    def __init__(self, repositories: list[Repository]) -> None:
        self._all = repositories
        self._gone: set[int] = set()
        self._last = len(repositories) - 1

    def bound(self, abort: Abort) -> Places:
        """Return the same places, for work that another `abort` ends."""
        return Places([place.bound(abort) for place in self._all])

    def forsake(self) -> bool:
        """Ask the place that sent the last blob no more, since it lied; False when there is no other."""
        if self._last == len(self._all) - 1 or self._last in self._gone:
            return False
        self._gone.add(self._last)
        return True

    def resolve(self, reference: str) -> Descriptor | None:
        """Return what a tag or digest points to; see `Repository.resolve`."""
        return self._first(lambda place: place.resolve(reference))

    def manifest(self, reference: str) -> RemoteManifest:
        """Return a manifest or index by tag or digest; see `Repository.manifest`."""
        return self._first(lambda place: place.manifest(reference))

    def blob(
        self, digest: Digest, size: int | None = None, *, start: int = 0, end: int | None = None
    ) -> BlobStream:
        """Begin to read a blob; see `Repository.blob`."""
        return self._first(lambda place: place.blob(digest, size, start=start, end=end))

    def tags(self) -> Iterator[str]:
        """Yield all tags."""
        return iter(self._first(lambda place: list(place.tags())))

    def referrers(self, digest: Digest, artifact_type: str = "") -> list[Descriptor]:
        """Return what refers to a manifest; see `Repository.referrers`."""
        return self._first(lambda place: place.referrers(digest, artifact_type))

    def _first(self, ask: Callable[[Repository], T]) -> T:
        """Ask one after the other; the error of the last, which is the registry itself, is what is raised."""
        failure: LodgeError | None = None
        candidates = [n for n in range(len(self._all)) if n not in self._gone] or [len(self._all) - 1]
        for number in candidates:
            place = self._all[number]
            try:
                answered = ask(place)
                self._last = number
                return answered
            except _PASSED_ON as error:
                if place is self._all[-1]:
                    raise
                _log.info("%s is passed over: %s", place.endpoint.host, error)
                if isinstance(error, Unreachable):
                    self._gone.add(number)
                failure = error
        assert failure is not None
        raise failure
