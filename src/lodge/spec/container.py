"""What a user wants of a container: its program, its dwelling, its limits.

The field names in JSON are Docker's (Engine API, ContainerConfig, HostConfig, NetworkingConfig), since every
client and every stored image speaks them; attributes are the same names in snake case. These values are what
the engine stores as a container's row. How they look in an answer of the API is next door, in `wire`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field

_SPECIAL = {
    "device_ids": "DeviceIDs",
    "container_id_file": "ContainerIDFile",
    "blkio_device_read_iops": "BlkioDeviceReadIOps",
    "blkio_device_write_iops": "BlkioDeviceWriteIOps",
    "io_maximum_iops": "IOMaximumIOps",
    "io_maximum_bandwidth": "IOMaximumBandwidth",
    "uts_mode": "UTSMode",
    "dns": "Dns",
    "ipam_config": "IPAMConfig",
    "network_id": "NetworkID",
    "endpoint_id": "EndpointID",
    "ip_address": "IPAddress",
    "ip_prefix_len": "IPPrefixLen",
    "ipv6_gateway": "IPv6Gateway",
    "global_ipv6_address": "GlobalIPv6Address",
    "global_ipv6_prefix_len": "GlobalIPv6PrefixLen",
    "dns_names": "DNSNames",
    "ipv4_address": "IPv4Address",
    "ipv6_address": "IPv6Address",
    "link_local_ips": "LinkLocalIPs",
}


def _docker_name(attribute: str) -> str:
    return _SPECIAL.get(attribute) or "".join(part.capitalize() for part in attribute.split("_"))


class Settings(Struct, rename=_docker_name, kw_only=True):
    """The base of all values here: Docker's names in JSON. Null stands for "not given"."""


class HealthCheck(Settings, omit_defaults=True):
    """A probe: test is NONE, or CMD or CMD-SHELL with its words; times in nanoseconds, 0 for inherited."""

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    retries: int = 0
    start_period: int = 0
    start_interval: int = 0


class ContainerConfig(Settings):
    """The part of the wish that an image can carry too."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, Any] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] | None = None
    cmd: list[str] | None = None
    healthcheck: HealthCheck | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, Any] | None = None
    working_dir: str = ""
    entrypoint: list[str] | None = None
    network_disabled: bool = False
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str | None = None
    stop_timeout: int | None = None
    shell: list[str] | None = None


class WeightDevice(Settings):
    """The weight of the block device at a path."""

    path: str
    weight: int


class ThrottleDevice(Settings):
    """The rate of the block device at a path, bytes or operations a second."""

    path: str
    rate: int


class DeviceMapping(Settings):
    """A device of the host shown in the container."""

    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = "rwm"


class DeviceRequest(Settings):
    """A request to a device driver (GPUs, CDI)."""

    driver: str = ""
    count: int = 0
    device_ids: list[str] | None = None
    capabilities: list[list[str]] | None = None
    options: dict[str, str] | None = None


class Ulimit(Settings):
    """A resource limit by its short name (nofile); -1 for none."""

    name: str = ""
    hard: int = 0
    soft: int = 0


class LogConfig(Settings):
    """Where the output goes."""

    type: str = ""
    config: dict[str, str] | None = None


class PortBinding(Settings):
    """Where a port of the container is published."""

    host_ip: str = ""
    host_port: str = ""


class RestartPolicy(Settings):
    """no, always, unless-stopped or on-failure; the count is for on-failure, 0 for without end."""

    name: str = ""
    maximum_retry_count: int = 0


class BindOptions(Settings):
    """How a directory of the host is shown."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class DriverConfig(Settings):
    """A volume driver and its options."""

    name: str = ""
    options: dict[str, str] | None = None


class VolumeOptions(Settings):
    """How a named volume is shown."""

    no_copy: bool = False
    labels: dict[str, str] | None = None
    driver_config: DriverConfig | None = None
    subpath: str = ""


class TmpfsOptions(Settings):
    """Size in bytes (0 for the kernel's default), mode bits, further options as key and value."""

    size_bytes: int = 0
    mode: int = 0
    options: list[list[str]] | None = None


class ImageOptions(Settings):
    """How an image's files are shown."""

    subpath: str = ""


class MountPoint(Settings):
    """One mount as `--mount` says it; type is bind, volume, tmpfs or image."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None
    image_options: ImageOptions | None = None


class Limits(Settings):
    """What `update` may change: CPU time, memory, tasks, block input and output."""

    cpu_shares: int = 0
    memory: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: list[WeightDevice] | None = None
    blkio_device_read_bps: list[ThrottleDevice] | None = None
    blkio_device_write_bps: list[ThrottleDevice] | None = None
    blkio_device_read_iops: list[ThrottleDevice] | None = None
    blkio_device_write_iops: list[ThrottleDevice] | None = None
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceMapping] | None = None
    device_cgroup_rules: list[str] | None = None
    device_requests: list[DeviceRequest] | None = None
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    nano_cpus: int = 0
    oom_kill_disable: bool | None = None
    init: bool | None = None
    pids_limit: int | None = None
    ulimits: list[Ulimit] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_iops: int = 0
    io_maximum_bandwidth: int = 0


class HostConfig(Limits):
    """The part of the wish that depends on this host."""

    binds: list[str] | None = None
    container_id_file: str = ""
    log_config: LogConfig = field(default_factory=LogConfig)
    network_mode: str = ""
    port_bindings: dict[str, list[PortBinding] | None] | None = None
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] | None = None
    console_size: list[int] | None = None
    annotations: dict[str, str] | None = None
    cap_add: list[str] | None = None
    cap_drop: list[str] | None = None
    cgroupns_mode: str = ""
    dns: list[str] | None = None
    dns_options: list[str] | None = None
    dns_search: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: list[str] | None = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] | None = None
    storage_opt: dict[str, str] | None = None
    tmpfs: dict[str, str] | None = None
    uts_mode: str = ""
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] | None = None
    runtime: str = ""
    isolation: str = ""
    mounts: list[MountPoint] | None = None
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None


class EndpointIpam(Settings):
    """Addresses asked for."""

    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: list[str] | None = None


class EndpointSettings(Settings):
    """A container's place in one network: the wish and, once connected, the facts."""

    ipam_config: EndpointIpam | None = None
    links: list[str] | None = None
    aliases: list[str] | None = None
    mac_address: str = ""
    driver_opts: dict[str, str] | None = None
    gw_priority: int = 0
    network_id: str = ""
    endpoint_id: str = ""
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    dns_names: list[str] | None = None


class NetworkingConfig(Settings):
    """The networks that a container is to join, by name."""

    endpoints_config: dict[str, EndpointSettings | None] | None = None


class Wish(Settings):
    """All that is wanted of one container: what `create` takes and the engine keeps."""

    config: ContainerConfig
    host: HostConfig
    networking: NetworkingConfig = field(default_factory=NetworkingConfig)


def encode(value: Settings) -> bytes:
    """Write any of these values as JSON with Docker's names."""
    return msgspec.json.encode(value)
