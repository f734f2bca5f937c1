"""What the answers of the registry share: its rooms, its rules, its threads."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar
from urllib.parse import parse_qsl

from lodge.http.exchange import Exchange
from lodge.registry import refusals
from lodge.registry.access.contract import Gate, Need
from lodge.registry.directory import Directory
from lodge.registry.incoming import Incoming
from lodge.registry.repository import Contents
from lodge.registry.targets import Target
from lodge.registry.uploads import Uploads
from lodge.spec.digest import Digest

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 16


class Blobs(Protocol):
    """Blobs that can be read."""

    def size(self, digest: Digest) -> int | None:
        """Bytes of a blob, None when it isn't there."""
        ...

    def open(self, digest: Digest) -> int | None:
        """A descriptor of a blob for the caller to close, None when it isn't there."""
        ...


class Readable(Protocol):
    """A repository that can be pulled from."""

    @property
    def contents(self) -> Contents:
        """What it holds now."""
        ...

    @property
    def blobs(self) -> Blobs:
        """Its blobs."""
        ...

    def read(self, digest: Digest) -> bytes:
        """A manifest's bytes. Raises Refusal, Corrupt."""
        ...


class Library(Protocol):
    """Repositories by name."""

    def find(self, name: str) -> Readable | None:
        """One of them."""
        ...

    def names(self) -> list[str]:
        """All names, sorted."""
        ...


class Upstream(Protocol):
    """Where a pull-through registry gets what it has not."""

    async def manifest(self, name: str, reference: str) -> None:
        """Bring a tag up to date, or bring a manifest by digest. Keeps what is there when nobody answers."""
        ...

    async def size(self, name: str, digest: Digest) -> int:
        """Bytes of a blob that is not here. Raises Refusal."""
        ...

    async def blob(self, name: str, digest: Digest) -> Incoming:
        """Begin to bring a blob, or join who does; its size is known. Raises Refusal."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """What clients may do here. Sizes in bytes, 0 for no bound."""

    read_only: bool = False
    delete: bool = True
    blob_limit: int = 0
    uploads_at_once: int = 256


class Threads:
    """Where blocking work is done."""

    def __init__(self, count: int = _THREADS) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="registry")

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something that blocks in a thread."""
        return await self.start(function, *args, **kwargs)

    def start(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Begin something that blocks in a thread."""
        work = functools.partial(function, *args, **kwargs)
        return asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Wait for them."""
        self._pool.shutdown()


class Service(Threads):
    """A registry's parts, and its threads. `directory` is where pushes go; None when it can only be read."""

    def __init__(
        self,
        library: Library,
        gate: Gate,
        rules: Rules,
        *,
        directory: Directory | None = None,
        upstream: Upstream | None = None,
    ) -> None:
        super().__init__()
        self.library = library
        self.gate = gate
        self.rules = rules
        self.directory = directory
        self.upstream = upstream
        self.uploads = Uploads(limit=rules.blob_limit)
        self.receiving = 0
        self.turns: dict[str, tuple[asyncio.Lock, Exchange]] = {}


class Call:
    """One request: what answers take."""

    __slots__ = ("_query", "exchange", "service", "target")

    def __init__(self, exchange: Exchange, target: Target, service: Service) -> None:
        self.exchange = exchange
        self.target = target
        self.service = service
        self._query: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """The repository's name."""
        return self.target.name

    @property
    def query(self) -> Mapping[str, str]:
        """The first value of each field of the query."""
        if self._query is None:
            self._query = dict(reversed(self.fields()))
        return self._query

    def fields(self) -> list[tuple[str, str]]:
        """All fields of the query in their order. Raises Refusal for too many."""
        text = self.exchange.head.query
        try:
            return parse_qsl(text, keep_blank_values=True, max_num_fields=200) if text else []
        except ValueError:
            raise refusals.Refusal("UNSUPPORTED", "malformed query", 400) from None

    def header(self, name: str) -> str | None:
        """A header by its name in lower case."""
        return self.exchange.head.headers.get(name)

    def repository(self) -> Readable:
        """The repository to read from. Raises Refusal NAME_UNKNOWN."""
        found = self.service.library.find(self.name)
        if found is None:
            raise refusals.name_unknown(self.name)
        return found

    def may(self, name: str, action: str) -> bool:
        """Whether the client may do something to another repository."""
        return self.service.gate.allows(self.exchange.head, Need("repository", name, action))


Answer = Callable[[Call], Coroutine[Any, Any, None] | None]
"""Answers a call at once, or by a coroutine."""
