"""The front of the build room: what a door asks for, what it is told meanwhile, what comes of it.

    BuildRequest (a Dockerfile, contexts, options, outputs)
        -> events, as they happen: Planned, Started, Cached or Working, Log, Status, Warned, Finished
        -> Built: one image a platform, and what the outputs made

Every door (REST, gRPC, the command, the library) makes the same request and reads the same events. Files
come through `Context`: a directory, an unpacked tar, or a client's tree that is fetched as far as it is
needed. Secrets and ssh agents are asked for when a step wants them. Nothing here knows HTTP, gRPC or Docker's
JSON.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from lodge.build.dockerfile.problems import Lines
from lodge.spec.image import ImageConfig


class Wanted(Struct, frozen=True, kw_only=True):
    """What of a context is needed: names relative to it that may hold wildcards, and what was ignored.

    Without `include` everything is. `exclude` are patterns of a .dockerignore; `follow` says that the targets
    of symbolic links among the includes are needed too.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    follow: bool = True


class Context(Protocol):
    """A tree of files that instructions may copy from."""

    async def open(self, wanted: Wanted) -> str:
        """A directory of this machine that holds at least what is wanted, until the build ends.

        What is ignored may be there or not: the build looks past it. Called again for more.
        """
        ...

    async def read(self, name: str, limit: int) -> bytes | None:
        """One small file (a Dockerfile, a .dockerignore); None when it isn't there."""
        ...


class Secrets(Protocol):
    """Secrets of whoever asked for the build, by id."""

    async def get(self, id: str) -> bytes | None:
        """The value; None when there is none of that name."""
        ...


class SshAgents(Protocol):
    """ssh agents of whoever asked for the build, by id."""

    async def connect(self, id: str) -> int | None:
        """A connected socket (a descriptor, the caller's) to an agent; None when there is none."""
        ...


class ImageSource(Struct, frozen=True):
    """A named context that is an image."""

    reference: str


class UrlSource(Struct, frozen=True):
    """A named context, or the main one, that is fetched by this machine: a git repository or an archive."""

    url: str


class Ulimit(Struct, frozen=True):
    """A limit for the programs of RUN."""

    name: str
    soft: int
    hard: int


class Options(Struct, kw_only=True):
    """How to build. Names as in the frontend's attributes, where there is one.

    `no_cache` ignores the cache for all steps, `no_cache_filter` for those of the named stages. `pull` asks
    for newer base images. `source_date_epoch` (seconds) makes what is built the same on every machine.
    `entitlements` are network.host and security.insecure. `check` only looks for mistakes.
    """

    target: str = ""
    platforms: tuple[str, ...] = ()
    arguments: dict[str, str] = {}
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    pull: bool = False
    network: str = ""
    extra_hosts: tuple[str, ...] = ()
    hostname: str = ""
    shm_size: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    cgroup_parent: str = ""
    memory: int = 0
    memory_swap: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    entitlements: frozenset[str] = frozenset()
    source_date_epoch: int | None = None
    squash: bool = False
    check: bool = False
    cache_from: tuple[str, ...] = ()


class Output(Struct, frozen=True, kw_only=True):
    """Where the result goes: kind is image, docker, oci, tar, local or none.

    `names` are for images. `destination` is a directory of this machine for local and a file for the others;
    "" when `BuildRequest.sink` takes the bytes.
    """

    kind: str = "image"
    names: tuple[str, ...] = ()
    destination: str = ""
    push: bool = False
    attributes: dict[str, str] = {}


class BuildRequest(Struct, kw_only=True):
    """All that a build needs.

    `dockerfile` is the text; without it `filename` is read from `dockerfile_context` or the main context.
    `credentials` are a registry's by its host, as Docker's X-Registry-Config has them; `login` is asked for
    those of a domain that is not among them. `sink` takes the bytes of an output without a destination.
    """

    context: Context | None = None
    dockerfile: str | None = None
    dockerfile_context: Context | None = None
    filename: str = "Dockerfile"
    contexts: dict[str, Context | ImageSource | UrlSource] = {}
    options: Options
    outputs: tuple[Output, ...] = (Output(),)
    secrets: Secrets | None = None
    agents: SshAgents | None = None
    credentials: dict[str, dict[str, str]] = {}
    login: Callable[[str], Awaitable[dict[str, str]]] | None = None
    sink: Callable[[bytes], Awaitable[None]] | None = None


class Step(Struct, frozen=True, kw_only=True):
    """One node of the graph, for people: `id` names it in events and is a digest.

    `name` is what BuildKit's progress shows. `code` is the instruction; `number` of `total` counts in a
    stage; `lines` are the Dockerfile's. An `internal` one loads or stores something.
    """

    id: str
    name: str
    inputs: tuple[str, ...] = ()
    code: str = ""
    stage: str = ""
    number: int = 0
    total: int = 0
    lines: Lines = (0, 0)
    internal: bool = False


class Instruction(Struct, frozen=True, kw_only=True):
    """One instruction that counts, in order: with its step, or "" when it changes only config."""

    code: str
    step: str = ""
    lines: Lines = (0, 0)


class BuildEvent(Struct, kw_only=True, tag=True):
    """The base of what is told; `at` is nanoseconds since the epoch. In JSON the class is "type"."""

    at: int = 0


class Planned(BuildEvent):
    """The Dockerfile was read: all steps that will be looked at, all instructions in their order."""

    steps: list[Step]
    instructions: list[Instruction]


class Started(BuildEvent):
    """A step began."""

    step: Step


class Cached(BuildEvent):
    """A step's result was known; Finished follows."""

    step: str


class Working(BuildEvent):
    """A step's result was not known: it is being made."""

    step: str


class Finished(BuildEvent):
    """A step ended; `error` is empty when it went well. `result` names what it made (a chain of layers)."""

    step: str
    error: str = ""
    result: str = ""


class Log(BuildEvent):
    """Output of a step's program: stream 1 or 2."""

    step: str
    stream: int
    data: bytes


class Status(BuildEvent):
    """How far something inside a step is: bytes of a context, of a download, of a layer."""

    step: str
    id: str
    current: int = 0
    total: int = 0
    done: bool = False


class Data(BuildEvent):
    """A piece of an output that has no destination on this machine."""

    data: bytes


class Warned(BuildEvent):
    """A finding of the checks. `source` is the Dockerfile's text."""

    rule: str
    message: str
    detail: str = ""
    url: str = ""
    filename: str = ""
    lines: Lines = (0, 0)
    source: str = ""


class BuiltImage(Struct, kw_only=True):
    """What came of one platform: the digest of its manifest and of its config ("" where none was made)."""

    platform: str
    manifest: str = ""
    config_digest: str = ""
    config: ImageConfig
    chain: str = ""


class Built(BuildEvent):
    """The last event of a build that went well. `digest` is of the manifest or of the index of all."""

    images: list[BuiltImage]
    digest: str = ""
    names: tuple[str, ...] = ()
    warnings: int = 0


Tell = Callable[[BuildEvent], None]
"""Takes events, in the order in which they happened; never waits."""
