"""The settings of lodged: flags and daemon.json joined, checked, typed. Pure but for reading the file."""

from __future__ import annotations

import msgspec
from msgspec import Struct, field

from lodge.daemon import network
from lodge.daemon.flags import Given
from lodge.daemon.options import BY_KEY, NOT_IN_FILES
from lodge.distribution.settings import RegistryEntry
from lodge.engine.settings import DEFAULT_RUNTIME, OWN_RUNTIMES, ForeignRuntime, Settings
from lodge.errors import InvalidArgument, NotFound
from lodge.spec.container import Ulimit
from lodge.wire import versions

DEFAULT_FILE = "/etc/lodge/daemon.json"
_BOTH_ALLOWED = ("runtimes",)
_FILE_PREFIX = "unable to configure the daemon with file {}: "
_LEVELS = ("debug", "info", "warn", "error", "fatal")


class Runtime(Struct, rename={"arguments": "runtimeArgs"}, forbid_unknown_fields=True):
    """A runtime as the file describes it."""

    path: str
    arguments: list[str] = []

    def foreign(self) -> ForeignRuntime:
        """As the engine knows it."""
        return ForeignRuntime(self.path, tuple(self.arguments))


class Config(Struct, rename="kebab", forbid_unknown_fields=True, kw_only=True):
    """All served settings, under their names in daemon.json. Sizes are bytes, times seconds."""

    runtimes: dict[str, Runtime] = {}
    bip: str = ""
    bip6: str = ""
    bridge: str = ""
    cgroup_parent: str = "/lodge"
    data_root: str = "/var/lib/lodge"
    debug: bool = False
    default_address_pools: list[network.Pool] = []
    default_gateway: str = ""
    default_gateway_v6: str = ""
    default_network_opts: dict[str, dict[str, str]] = {}
    default_cgroupns_mode: str = ""
    default_ipc_mode: str = "private"
    default_runtime: str = DEFAULT_RUNTIME
    default_shm_size: int | str = 64 << 20
    default_ulimits: dict[str, Ulimit] = {}
    dns: list[str] = []
    dns_opts: list[str] = []
    dns_search: list[str] = []
    exec_root: str = "/run/lodge"
    features: dict[str, bool] = {}
    firewall_backend: str = ""
    fixed_cidr: str = ""
    fixed_cidr_v6: str = ""
    group: str = ""
    host_gateway_ips: list[str] = []
    hosts: list[str] = []
    http_proxy: str = ""
    https_proxy: str = ""
    icc: bool = True
    init: bool = False
    init_path: str = ""
    insecure_registries: list[str] = []
    ip: str = ""
    ip_forward: bool = True
    ip_forward_no_drop: bool = False
    ip_masq: bool = True
    ip6tables: bool = True
    iptables: bool = True
    ipv6: bool = False
    labels: list[str] = []
    log_driver: str = "json-file"
    log_format: str = "text"
    log_level: str = "info"
    log_opts: dict[str, str] = {}
    max_concurrent_downloads: int = 3
    max_concurrent_uploads: int = 5
    max_download_attempts: int = 5
    metrics_addr: str = ""
    min_api_version: str = ""
    mtu: int = 0
    no_new_privileges: bool = False
    no_proxy: str = ""
    pidfile: str = ""
    proxies: dict[str, str] = {}
    registries: dict[str, RegistryEntry] = {}
    publish_mode: str = "kernel"
    registry_mirrors: list[str] = []
    seccomp_profile: str = ""
    shutdown_timeout: int = 15
    tls: bool | None = None
    tlscacert: str = ""
    tlscert: str = ""
    tlskey: str = ""
    tlsverify: bool | None = None
    trust_policy: str = ""
    userland_proxy: bool = True
    userns_remap: str = ""
    warnings: list[str] = field(default_factory=list)
    """Filled here: what is accepted but has no meaning."""

    @property
    def oldest(self) -> int:
        """The N of the oldest API version 1.N that is served."""
        return versions.parse(self.min_api_version) if self.min_api_version else versions.OLDEST

    @property
    def level(self) -> str:
        """The log's level."""
        return "debug" if self.debug else self.log_level

    def settings(self) -> Settings:
        """What the engine needs of all this."""
        from lodge.daemon import registries

        settings = Settings(
            data_root=self.data_root,
            exec_root=self.exec_root,
            labels=self.labels,
            default_runtime=self.default_runtime,
            runtimes={
                name: ForeignRuntime(one.path, tuple(one.arguments)) for name, one in self.runtimes.items()
            },
            cgroup_parent=self.cgroup_parent,
            cgroup_namespace=self.default_cgroupns_mode,
            ipc_mode=self.default_ipc_mode,
            shm_size=_bytes(self.default_shm_size),
            ulimits=list(self.default_ulimits.values()),
            init=self.init,
            init_path=self.init_path,
            log_driver=self.log_driver,
            log_options=self.log_opts,
            dns=self.dns,
            dns_options=self.dns_opts,
            dns_search=self.dns_search,
            network=network.settings(self),
            userns_remap=self.userns_remap,
            seccomp_profile=self.seccomp_profile,
            no_new_privileges=self.no_new_privileges,
            shutdown_timeout=self.shutdown_timeout,
            debug=self.debug,
            trust_policy=self.trust_policy,
            insecure_registries=self.insecure_registries,
            registry_mirrors=self.registry_mirrors,
        )
        return registries.apply(self, settings)


def _bytes(size: int | str) -> int:
    from lodge.daemon import values

    return values.size(size) if isinstance(size, str) else size


def read_file(path: str, *, must_exist: bool) -> Given:
    """The members of a daemon.json; none if a default file is missing. InvalidArgument if it is no object."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        if must_exist:
            raise NotFound(f"open {path}: no such file or directory") from None
        return {}
    try:
        found = msgspec.json.decode(data) if data.strip() else {}
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArgument(
            f"unable to configure the daemon with file {path}: invalid JSON: {error}"
        ) from None
    if not isinstance(found, dict):
        raise InvalidArgument(f"unable to configure the daemon with file {path}: must be a JSON object")
    return found


def load(given: Given) -> Config:
    """Flags and file together. InvalidArgument or NotFound says what is wrong."""
    path = given.get("config-file", DEFAULT_FILE)
    found = read_file(path, must_exist="config-file" in given)
    try:
        _check_keys(found)
        _check_conflicts(given, found)
        merged = found | {key: value for key, value in given.items() if key not in NOT_IN_FILES}
        if "runtimes" in given and isinstance(found.get("runtimes"), dict):
            merged["runtimes"] = found["runtimes"] | given["runtimes"]
        return _typed(merged)
    except InvalidArgument as error:
        prefix = _FILE_PREFIX.format(path) if found else ""
        raise InvalidArgument(prefix + error.message, hint=error.hint) from None


def _check_keys(found: Given) -> None:
    unknown = [key for key in found if key not in BY_KEY or key in NOT_IN_FILES]
    if unknown:
        import difflib

        close = [match for key in unknown for match in difflib.get_close_matches(key, BY_KEY, 1)]
        raise InvalidArgument(
            f"the following directives don't match any configuration option: {', '.join(unknown)}",
            hint=f"did you mean {', '.join(close)}?" if close else None,
        )


def _check_conflicts(given: Given, found: Given) -> None:
    both = [key for key in given if key in found and key not in _BOTH_ALLOWED]
    if both:
        told = ", ".join(f"{key}: (from flag: {given[key]}, from file: {found[key]})" for key in both)
        raise InvalidArgument(
            f"the following directives are specified both as a flag and in the configuration file: {told}"
        )


def _typed(merged: Given) -> Config:
    warnings: list[str] = []
    served: Given = {}
    for key, value in merged.items():
        option = BY_KEY[key]
        if option.lacks:
            if value not in option.only:
                raise InvalidArgument(f"{option.name}={value} can't be served: {option.lacks}")
        elif key == "raw-logs":
            warnings.append("raw-logs has no meaning: the log is never coloured")
        else:
            served[key] = value
    try:
        config = msgspec.convert(served, Config)
    except msgspec.ValidationError as error:
        raise InvalidArgument(str(error)) from None
    warnings += [f"the feature {name!r} has no meaning for this engine" for name in config.features]
    config.warnings = warnings
    _check(config)
    return config


def _check(config: Config) -> None:
    """What a type can't say."""
    from lodge.daemon import registries

    if config.log_level not in _LEVELS:
        raise InvalidArgument(f"invalid logging level: {config.log_level}")
    if config.log_format not in ("text", "json"):
        raise InvalidArgument(f"invalid log format: {config.log_format}")
    for label in config.labels:
        if "=" not in label:
            raise InvalidArgument(f"bad attribute format: {label}")
    keys = [label.partition("=")[0] for label in config.labels]
    for key in keys:
        values = {label for label in config.labels if label.partition("=")[0] == key}
        if len(values) > 1:
            raise InvalidArgument(f"conflict labels for {' and '.join(sorted(values))}")
    if config.default_ipc_mode not in ("private", "shareable"):
        raise InvalidArgument(f'IPC mode "{config.default_ipc_mode}" is not supported as default value')
    if config.default_cgroupns_mode not in ("", "private", "host"):
        mode = config.default_cgroupns_mode
        raise InvalidArgument(f'Default cgroup namespace mode "{mode}" is invalid. Use "host" or "private"')
    for name in config.runtimes:
        if name in OWN_RUNTIMES:
            raise InvalidArgument(f"runtime name '{name}' is reserved")
    if config.default_runtime not in (*OWN_RUNTIMES, *config.runtimes):
        raise InvalidArgument(f'specified default runtime "{config.default_runtime}" does not exist')
    for name in ("data_root", "exec_root"):
        if not getattr(config, name).startswith("/"):
            raise InvalidArgument(
                f"{name.replace('_', '-')} must be an absolute path: {getattr(config, name)}"
            )
    _bytes(config.default_shm_size)
    network.settings(config)
    _ = config.oldest
    registries.check(config)
