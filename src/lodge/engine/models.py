"""The things that the engine keeps and tells: containers, execs, images, volumes, events, figures.

Plain values. Times are nanoseconds since the epoch (0 for never), sizes are bytes, an id is 64 hex digits.
What a user wants of a container is `spec.container.Wish`; how these look in Docker's answers is the business
of `lodge.api`.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from lodge.engine.planning.mount_wishes import MountWish
from lodge.spec.container import EndpointSettings, HealthCheck, PortBinding, Wish


class Probe(Struct, kw_only=True):
    """One run of a health check."""

    start: int
    end: int
    exit_code: int
    output: str


class Health(Struct, kw_only=True):
    """Where the health checks stand: status is starting, healthy or unhealthy; the last five probes."""

    status: str = "starting"
    failing_streak: int = 0
    log: list[Probe] = []


class ContainerState(Struct, kw_only=True):
    """Where a container stands: created, running, paused, restarting, removing, exited or dead."""

    status: str = "created"
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at: int = 0
    finished_at: int = 0
    health: Health | None = None

    @property
    def running(self) -> bool:
        """A program of it is alive (Docker counts a paused and a restarting one too)."""
        return self.status in ("running", "paused", "restarting")


class MountRecord(Struct, kw_only=True):
    """One mount that a container got: type is bind, volume, tmpfs or image."""

    type: str
    destination: str
    source: str = ""
    name: str = ""
    driver: str = ""
    mode: str = ""
    read_write: bool = True
    propagation: str = ""


class Container(Struct, kw_only=True):
    """A container: the wish, and what became of it.

    `mounts` are for people to see, `layout` is what each start mounts; `chain_id` names the image's files, ""
    for none. `networks` are its places by the networks' names, with addresses while it runs (what was asked
    for stays in the wish); `links` are those of the default bridge, alias to container id; `ports` what is
    bound now, by "80/tcp"; `interfaces` their names inside by endpoint id.
    """

    id: str
    name: str
    created_at: int
    wish: Wish
    image_id: str
    image_name: str
    platform: str = "linux"
    path: str = ""
    args: list[str] = []
    state: ContainerState = field(default_factory=ContainerState)
    mounts: list[MountRecord] = []
    layout: list[MountWish] = []
    networks: dict[str, EndpointSettings] = {}
    links: dict[str, str] = {}
    ports: dict[str, list[PortBinding]] = {}
    interfaces: dict[str, str] = {}
    sandbox_id: str = ""
    restart_count: int = 0
    manually_stopped: bool = False
    snapshotter: str = "overlay"
    chain_id: str = ""
    log_path: str = ""
    hostname_path: str = ""
    hosts_path: str = ""
    resolv_conf_path: str = ""
    exec_ids: list[str] = []
    apparmor_profile: str = ""
    healthcheck: HealthCheck | None = None


class ExecWish(Struct, kw_only=True):
    """What is wanted of an exec."""

    command: list[str]
    terminal: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach_keys: str = ""
    env: list[str] = []
    working_dir: str = ""
    user: str = ""
    privileged: bool = False
    window: tuple[int, int] | None = None


class Exec(Struct, kw_only=True):
    """An exec: a further program in a running container."""

    id: str
    container_id: str
    wish: ExecWish
    running: bool = False
    exit_code: int | None = None
    pid: int = 0


class ExitResult(Struct, kw_only=True):
    """What `wait` gives: the exit code, and an error when the container could not be started or watched.

    `cpu_ns` and `peak_memory` (bytes) tell what it used, where that is measured; else 0.
    """

    exit_code: int
    error: str = ""
    cpu_ns: int = 0
    peak_memory: int = 0


class Change(Struct, kw_only=True):
    """A path that differs from the image: kind is 0 modified, 1 added, 2 deleted (Docker's numbers)."""

    kind: int
    path: str


class PathStat(Struct, kw_only=True):
    """A file in a container; `mode` in the bits of Go's os.FileMode, as Docker's clients expect."""

    name: str
    size: int
    mode: int
    mtime: int
    link_target: str = ""


class ProcessTable(Struct, kw_only=True):
    """What `top` shows: titles, and one row of words a process."""

    titles: list[str]
    processes: list[list[str]]


class Image(Struct, kw_only=True):
    """An image of one platform: `id` is the digest of its config, `config` the whole OCI image config."""

    id: str
    target: str
    tags: list[str] = []
    digests: list[str] = []
    created_at: int = 0
    size: int = 0
    architecture: str = ""
    variant: str = ""
    os: str = "linux"
    author: str = ""
    comment: str = ""
    config: dict[str, Any] = {}
    diff_ids: list[str] = []
    parent: str = ""
    tagged_at: int = 0
    containers: int = -1
    shared_size: int = -1


class HistoryEntry(Struct, kw_only=True):
    """One step of an image's making."""

    id: str
    created_at: int
    created_by: str
    tags: list[str] | None
    size: int
    comment: str


class ImageDeletion(Struct, kw_only=True):
    """One thing that removing an image did: exactly one of the two is set."""

    untagged: str = ""
    deleted: str = ""


class Progress(Struct, kw_only=True):
    """A line of progress: the members of Docker's JSON message that apply."""

    status: str = ""
    id: str = ""
    current: int = 0
    total: int = 0
    stream: str = ""
    error: str = ""
    aux: dict[str, Any] | None = None


class Volume(Struct, kw_only=True):
    """A named volume."""

    name: str
    driver: str = "local"
    mountpoint: str = ""
    created_at: int = 0
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None
    size: int = -1
    references: int = -1


class AddressRange(Struct, kw_only=True):
    """One entry of a network's IPAM.Config: a subnet, "" for what was left open."""

    subnet: str = ""
    range: str = ""
    gateway: str = ""
    auxiliary: dict[str, str] | None = None


class Network(Struct, kw_only=True):
    """A network: the wish, and what became of it.

    `asked` are the ranges as the user gave them, `subnets` as they were resolved (empty until first needed
    for the default bridge). `link` is the kernel's name of the bridge. `origin` names the network that it has
    its settings from.
    """

    id: str
    name: str
    created_at: int
    driver: str = "bridge"
    scope: str = "local"
    ipv4: bool = True
    ipv6: bool = False
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None
    asked: list[AddressRange] = []
    subnets: list[AddressRange] = []
    internal: bool = False
    attachable: bool = False
    config_only: bool = False
    origin: str = ""
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    link: str = ""
    predefined: bool = False


class NetworkChange(Struct, kw_only=True):
    """What a running container's network shall be from now on; None leaves it. The annotations are rates."""

    port_bindings: dict[str, list[PortBinding] | None] | None = None
    annotations: dict[str, str] | None = None


class Member(Struct, kw_only=True):
    """A running container in a network, as `network inspect` lists it; addresses with prefix length."""

    container_id: str
    name: str
    endpoint_id: str
    mac_address: str = ""
    ipv4: str = ""
    ipv6: str = ""


class Event(Struct, kw_only=True):
    """Something that happened: type container, image, volume, network, daemon; the actor's attributes."""

    type: str
    action: str
    actor_id: str
    attributes: dict[str, str]
    at: int


class Pruned(Struct, kw_only=True):
    """What a prune removed, and the bytes that came free."""

    deleted: list[str] = []
    image_deletions: list[ImageDeletion] = []
    reclaimed: int = 0


class LogQuery(Struct, kw_only=True):
    """What of a log is wanted; times in nanoseconds, `tail` -1 for all."""

    stdout: bool = True
    stderr: bool = True
    follow: bool = False
    since: int = 0
    until: int = 0
    timestamps: bool = False
    details: bool = False
    tail: int = -1


class AttachQuery(Struct, kw_only=True):
    """What an attached client wants."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    stream: bool = False
    logs: bool = False
    detach_keys: str = ""


class Stats(Struct, kw_only=True):
    """Figures of one moment; `current` and `previous` hold what the control group counted.

    Both are dicts with Docker's member names: cpu_stats, memory_stats, pids_stats, blkio_stats, networks.
    """

    read_at: int
    previous_read_at: int
    current: dict[str, Any]
    previous: dict[str, Any]
    processes: int = 0
