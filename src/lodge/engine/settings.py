"""How an engine is set up: its directories and its defaults for what a container leaves open.

A value, made by the daemon of its flags and file, or by `lodge.Engine` of its arguments. Whether a setting
can be served is checked where it is used.
"""

from __future__ import annotations

from msgspec import Struct, field

from lodge.distribution.settings import RegistryEntry
from lodge.spec.container import Ulimit

DEFAULT_RUNTIME = "runc"
"""The engine's own runtime, by the name that Docker gives its default: tools ask for it, and compare."""
OWN_RUNTIMES = (DEFAULT_RUNTIME, "lodge", "io.containerd.runc.v2")
"""All names of it. They are reserved: an installed runc is set up under another name."""
"""The engine's own wing: isolated processes without any further program."""


class ForeignRuntime(Struct, frozen=True):
    """An installed OCI runtime (runc, crun): its program and further global arguments."""

    path: str
    arguments: tuple[str, ...] = ()


class AddressPool(Struct, frozen=True):
    """A block of which networks get their subnets: `base` "10.0.0.0/8", cut into pieces of `size` bits."""

    base: str
    size: int


class NetworkSettings(Struct, kw_only=True):
    """How networks are made, by dockerd's names where it has them.

    `bridge` is the default bridge's link, "" for a name of this engine's own, "none" for no such network.
    `bind_address` is where ports are published that name no address; `options` are driver options for every
    new network of a driver. `publish` is kernel (the packets are redirected) or proxy (a process of the host
    accepts, so that the host's own firewall decides who comes in). `closed` are TCP ports of this host that
    no container reaches: those of the engine's own API.
    """

    bridge: str = ""
    bip: str = ""
    bip6: str = ""
    fixed_cidr: str = ""
    fixed_cidr_v6: str = ""
    gateway: str = ""
    gateway6: str = ""
    pools: list[AddressPool] = []
    mtu: int = 0
    icc: bool = True
    ipv6: bool = False
    bind_address: str = ""
    forward: bool = True
    masquerade: bool = True
    firewall: bool = True
    firewall6: bool = True
    proxy: bool = True
    publish: str = "kernel"
    options: dict[str, dict[str, str]] = {}
    host_gateways: list[str] = []
    closed: list[int] = []


class Settings(Struct, kw_only=True):
    """Directories, defaults, names. Sizes are bytes, times seconds.

    `cgroup_namespace` is private or host, "" for Docker's choice: the host's with cgroup v1, private with v2.
    With `measure` the end of each container tells what it used, at the price of 0.2 ms.
    """

    data_root: str = "/var/lib/lodge"
    exec_root: str = "/run/lodge"
    name: str = ""
    labels: list[str] = []
    default_runtime: str = DEFAULT_RUNTIME
    runtimes: dict[str, ForeignRuntime] = {}
    cgroup_parent: str = "/lodge"
    cgroup_namespace: str = ""
    ipc_mode: str = "private"
    shm_size: int = 64 << 20
    ulimits: list[Ulimit] = []
    init: bool = False
    init_path: str = ""
    log_driver: str = "json-file"
    log_options: dict[str, str] = {}
    dns: list[str] = []
    dns_options: list[str] = []
    dns_search: list[str] = []
    network: NetworkSettings = field(default_factory=NetworkSettings)
    userns_remap: str = ""
    seccomp_profile: str = ""
    no_new_privileges: bool = False
    stop_timeout: int = 10
    shutdown_timeout: int = 15
    debug: bool = False
    live_restore: bool = True
    snapshotter: str = ""
    insecure_registries: list[str] = []
    registry_mirrors: list[str] = []
    registries: dict[str, RegistryEntry] = {}
    max_downloads: int = 3
    max_uploads: int = 5
    max_download_attempts: int = 5
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    trust_policy: str = ""
    measure: bool = False
