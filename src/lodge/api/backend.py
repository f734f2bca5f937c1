"""What the Engine API needs of an engine: declared here, by the one who uses it.

`lodge.engine.engine.Engine` fulfils it. All times and shapes are those of `lodge.engine.models`. A name may
be a full id, a unique beginning of one, or a name; NotFound says "No such container: x" and so on in
Docker's words. Errors are the kinds of `lodge.errors`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from lodge.engine.build.scratch import Scratch
from lodge.engine.build.synced import Trees
from lodge.engine.models import (
    AttachQuery,
    Change,
    Container,
    Event,
    Exec,
    ExecWish,
    ExitResult,
    HistoryEntry,
    Image,
    ImageDeletion,
    LogQuery,
    Member,
    Network,
    NetworkChange,
    PathStat,
    ProcessTable,
    Progress,
    Pruned,
    Stats,
    Volume,
)
from lodge.spec.container import EndpointSettings, Limits, RestartPolicy, Wish
from lodge.spec.descriptor import Descriptor
from lodge.spec.platform import Platform
from lodge.volume.secrets import Secret

if TYPE_CHECKING:
    from lodge.build.contract import BuildEvent, BuildRequest
    from lodge.engine.build.cache_mounts import CacheMount
    from lodge.engine.build.memory import Record

Filters: TypeAlias = dict[str, list[str]]
Many: TypeAlias = list  # the classes below have methods named list


class Inflow(Protocol):
    """A request body, read by a blocking hand in a thread of its own."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most `size`; empty at the end. Raises Unavailable when the client is gone."""
        ...


class Outflow(Protocol):
    """Bytes that a hand makes: a pipe's reading end, and the news how the making ended."""

    fd: int
    done: Awaitable[None]


class Handover(Protocol):
    """A client's connection that is given away with all that was read of it already."""

    def take(self) -> tuple[int, bytes]:
        """Give up the socket: its descriptor (the taker closes it) and the bytes that came too early."""
        ...


class Containers(Protocol):
    """Containers by name or id."""

    async def create(self, name: str | None, wish: Wish, platform: str | None) -> tuple[Container, Many[str]]:
        """Make one; gives it and warnings. NotFound "No such image: x:latest", Conflict for a used name."""
        ...

    async def get(self, name: str) -> Container: ...
    async def list(self, *, all: bool, limit: int, filters: Filters) -> Many[Container]: ...
    async def sizes(self, name: str) -> tuple[int, int]:
        """Bytes written by the container, and bytes of its whole root file system."""
        ...

    async def start(self, name: str) -> None:
        """NotModified when it runs; StartFailed with Docker's text when its program can't be started."""
        ...

    async def stop(self, name: str, *, signal: str | None, timeout: int | None) -> None: ...
    async def restart(self, name: str, *, signal: str | None, timeout: int | None) -> None: ...
    async def kill(self, name: str, signal: str) -> None: ...
    async def pause(self, name: str) -> None: ...
    async def unpause(self, name: str) -> None: ...
    async def wait(self, name: str, condition: str) -> Awaitable[ExitResult]:
        """Begin to wait (not-running, next-exit, removed): what is returned can be awaited for the end.

        NotFound and InvalidArgument come from this call itself, so that headers can be sent between the two.
        """
        ...

    async def remove(self, name: str, *, force: bool, volumes: bool, link: bool) -> None: ...
    async def rename(self, name: str, new_name: str) -> None: ...
    async def update(
        self,
        name: str,
        limits: dict[str, Any],
        restart: RestartPolicy | None,
        network: NetworkChange | None = None,
    ) -> Many[str]:
        """Change limits: `limits` has the JSON members of Limits that were given; gives warnings."""
        ...

    async def top(self, name: str, arguments: str) -> ProcessTable: ...
    async def changes(self, name: str) -> Many[Change]: ...
    async def stats(self, name: str, *, stream: bool, one_shot: bool) -> AsyncIterator[Stats]: ...
    async def logs(self, name: str, query: LogQuery) -> AsyncIterator[bytes]:
        """Bytes as they go out: framed unless the container has a terminal."""
        ...

    async def attach(self, name: str, query: AttachQuery, *, framed: bool) -> Callable[[Handover], None]:
        """Check everything first; the returned call hands the connection over."""
        ...

    async def resize(self, name: str, rows: int, columns: int) -> None: ...
    async def export(self, name: str) -> Outflow: ...
    async def stat_path(self, name: str, path: str) -> PathStat: ...
    async def get_archive(self, name: str, path: str) -> tuple[PathStat, Outflow]: ...
    async def put_archive(
        self, name: str, path: str, source: Inflow, *, no_overwrite_dir_non_dir: bool, copy_uid_gid: bool
    ) -> None: ...
    async def commit(
        self,
        name: str,
        *,
        reference: str | None,
        comment: str,
        author: str,
        pause: bool,
        changes: Many[str],
        config: dict[str, Any] | None,
    ) -> str:
        """Make an image of it; gives the image's id."""
        ...

    async def prune(self, filters: Filters) -> Pruned: ...


class Execs(Protocol):
    """Further programs in running containers."""

    async def create(self, container: str, wish: ExecWish) -> Exec: ...
    async def get(self, id: str) -> Exec:
        """The truth of this moment: a running one is asked for at its monitor."""
        ...

    async def start(
        self, id: str, *, detach: bool, terminal: bool | None, window: tuple[int, int] | None, framed: bool
    ) -> Callable[[Handover], None] | None:
        """Start it. Attached: the returned call hands the connection over, and starts; errors go in-band."""
        ...

    async def resize(self, id: str, rows: int, columns: int) -> None: ...


class Images(Protocol):
    """Images by name, digest or id."""

    async def list(self, *, all: bool, filters: Filters, shared_size: bool, digests: bool) -> Many[Image]: ...
    async def get(self, name: str, platform: str | None = None) -> Image: ...
    async def history(self, name: str, platform: str | None = None) -> Many[HistoryEntry]: ...
    async def tag(self, name: str, reference: str) -> None: ...
    async def remove(self, name: str, *, force: bool, prune: bool) -> Many[ImageDeletion]: ...
    async def prune(self, filters: Filters) -> Pruned: ...
    async def load(self, source: Inflow, *, quiet: bool) -> AsyncIterator[Progress]: ...
    async def save(self, names: Many[str], platform: str | None) -> Outflow: ...
    async def manifest(self, name: str) -> tuple[Descriptor, bytes]: ...
    async def open_blob(self, digest: str) -> int: ...
    async def import_(
        self,
        source: Inflow | str,
        *,
        reference: str | None,
        message: str,
        changes: Many[str],
        platform: str | None,
    ) -> AsyncIterator[Progress]: ...
    async def pull(
        self, reference: str, *, platform: str | None, auth: dict[str, str] | None
    ) -> AsyncIterator[Progress]: ...
    async def push(
        self, reference: str, *, platform: str | None, auth: dict[str, str] | None, compression: str = ""
    ) -> AsyncIterator[Progress]: ...
    async def login(self, auth: dict[str, str]) -> str:
        """Check credentials at their registry; gives the identity token that it offers instead, or ""."""
        ...

    async def inspect_remote(
        self, reference: str, *, auth: dict[str, str] | None
    ) -> tuple[Descriptor, Many[Platform]]:
        """What the registry has under a name: its descriptor and the platforms of its images."""
        ...

    async def bootstrap(
        self, name: str, *, suite: str | None, mirror: str | None
    ) -> AsyncIterator[Progress]: ...


class Volumes(Protocol):
    """Named volumes."""

    async def create(
        self, name: str, driver: str, options: dict[str, str], labels: dict[str, str]
    ) -> Volume: ...
    async def get(self, name: str) -> Volume: ...
    async def list(self, filters: Filters) -> Many[Volume]: ...
    async def remove(self, name: str, *, force: bool) -> None: ...
    async def prune(self, filters: Filters) -> Pruned: ...


class Machines(Protocol):
    """What containers in virtual machines need."""

    async def hypervisors(self) -> Many[dict[str, Any]]:
        """Name, Usable and Reason of each."""
        ...

    async def kernel(self) -> str:
        """The release that machines boot; "" for none yet."""
        ...

    async def setup(self, *, kernel: str, modules: str) -> AsyncIterator[Progress]: ...


class Secrets(Protocol):
    """Secrets by name or id; the value is in no answer."""

    async def create(self, name: str, value: bytes, labels: dict[str, str]) -> Secret: ...
    async def get(self, name: str) -> Secret: ...
    async def list(self) -> Many[Secret]: ...
    async def remove(self, name: str) -> None: ...


class Networks(Protocol):
    """Networks by name or id. NotFound "network x not found"."""

    async def create(self, wanted: Network, *, ingress: bool = False) -> Network:
        """Make one of a wish without id; Conflict for a used name."""
        ...

    async def get(self, name: str) -> Network: ...
    async def list(self, filters: Filters) -> Many[Network]: ...
    async def members(self, name: str) -> Many[Member]:
        """The running containers in it."""
        ...

    async def remove(self, name: str) -> None: ...
    async def prune(self, filters: Filters) -> Pruned: ...
    async def connect(self, name: str, container: str, asked: EndpointSettings) -> None: ...
    async def disconnect(self, name: str, container: str, *, force: bool) -> None: ...


class System(Protocol):
    """The engine and its machine."""

    async def info(self) -> dict[str, Any]:
        """Docker's SystemInfo with all of its members."""
        ...

    async def disk_usage(self, types: set[str]) -> dict[str, Any]:
        """The wanted ones (`types`: image, container, volume, build-cache) with their sizes.

        Under "images" a list of Image (with containers and shared_size) and under "layers_size" bytes; under
        "containers" a list of (Container, bytes written, bytes of the whole root); under "volumes" a list of
        Volume (with size and references).
        """
        ...

    async def events(self, *, since: int, until: int, filters: Filters) -> AsyncIterator[Event]: ...


class BuildContext(Protocol):
    """Files that were taken in for one build."""

    def close(self) -> None:
        """Remove them. Idempotent."""
        ...


class Builds(Protocol):
    """Builds and their cache. Requests and events are those of `lodge.build.contract`."""

    @property
    def scratch(self) -> Scratch:
        """Directories for what builds bring."""
        ...

    @property
    def trees(self) -> Trees:
        """Trees of clients, kept over builds."""
        ...

    async def receive(self, source: Inflow, remote: str, request: BuildRequest) -> BuildContext | None:
        """Take a context in, from a body or an address, and put it into the request."""
        ...

    def build(self, request: BuildRequest, id: str = "") -> AsyncIterator[BuildEvent]:
        """Build; the errors of a build come out of the iteration."""
        ...

    def records(self) -> list[Record]:
        """The entries of the cache, the latest used first."""
        ...

    async def cache_mounts(self) -> list[CacheMount]:
        """What mounts of the type cache have left."""
        ...

    async def export_cache(self, id: str) -> Outflow: ...
    async def import_cache(self, id: str, source: Inflow) -> None: ...
    async def cancel(self, id: str) -> None: ...
    async def prune(self, filters: Filters, *, all: bool = False, keep: int = 0, most: int = 0) -> Pruned: ...


class Backend(Protocol):
    """An engine as this door sees it."""

    @property
    def builds(self) -> Builds:
        """Builds and their cache."""
        ...

    @property
    def containers(self) -> Containers:
        """Containers by name or id."""
        ...

    @property
    def execs(self) -> Execs:
        """Further programs in running containers."""
        ...

    @property
    def images(self) -> Images:
        """Images by name, digest or id."""
        ...

    @property
    def machines(self) -> Machines:
        """What machines need."""
        ...

    @property
    def networks(self) -> Networks:
        """Networks by name or id."""
        ...

    @property
    def volumes(self) -> Volumes:
        """Named volumes."""
        ...

    @property
    def secrets(self) -> Secrets:
        """Small values for containers."""
        ...

    @property
    def system(self) -> System:
        """The engine and its machine."""
        ...


__all__ = ["Backend", "Filters", "Handover", "Inflow", "Limits", "Outflow"]
