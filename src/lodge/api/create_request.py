"""The body of `POST /containers/create`: read, checked, brought from older API versions to today's meaning.

Pure. What a container may wish in general is the engine's to judge; here is only what depends on the client's
API version or on the request's form. The gates follow moby's container router (`postContainersCreate`).
"""

from __future__ import annotations

import re
from typing import Any

from lodge.api import bodies
from lodge.errors import InvalidArgument
from lodge.spec.container import (
    ContainerConfig,
    EndpointSettings,
    HostConfig,
    MountPoint,
    NetworkingConfig,
    PortBinding,
    Wish,
)

_ETH_SYSCTL = re.compile(r"net\.([^.]+)\.([^.]+)\.(eth[^.]*)\.(.+)")
_ENDPOINT_SYSCTLS = "com.docker.network.endpoint.sysctls"
_DRIVER_IGNORED = (
    "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. "
    "Use '--mount type=volume,volume-driver=...' instead"
)
_MAC_DEPRECATED = (
    "The container-wide MacAddress field is now deprecated. "
    "It should be specified in EndpointsConfig instead."
)
_OPTION_TYPES = (
    ("VolumeOptions", "volume_options", ("volume",)),
    ("BindOptions", "bind_options", ("bind",)),
    ("TmpfsOptions", "tmpfs_options", ("tmpfs", "secret")),
)


def read(data: bytes, version: int) -> tuple[Wish, list[str]]:
    """The wish in a request's body, and warnings for the client. InvalidArgument for what can't be."""
    raw = bodies.parse(data)
    if not isinstance(raw, dict):
        bodies.convert(raw, ContainerConfig)  # raises, naming what came instead
    members = {name.lower(): value for name, value in raw.items()}
    host_raw, networking_raw = members.pop("hostconfig", None), members.pop("networkingconfig", None)
    if not any(value is not None for value in members.values()):
        raise InvalidArgument("config cannot be empty in order to create a container")
    config = bodies.convert(raw, ContainerConfig)
    host = bodies.convert(host_raw, HostConfig) if host_raw is not None else HostConfig()
    networking = (
        bodies.convert(networking_raw, NetworkingConfig) if networking_raw is not None else NetworkingConfig()
    )
    _name_default_network(host, networking)
    warnings: list[str] = []
    _check_mounts(host, version)
    _age_mounts(host, version)
    _age_rest(config, host, networking, version)
    warnings += _volume_driver(host, version)
    if version < 52:
        warnings += _mac_address(members.get("macaddress"), host, networking, version)
    elif members.get("macaddress"):
        raise InvalidArgument(
            "container-wide MAC address no longer supported; use endpoint-specific MAC address instead"
        )
    warnings += _sysctls(host, networking, version)
    warnings += _ports(host, version)
    if host.pids_limit is not None and host.pids_limit <= 0:
        host.pids_limit = None
    return Wish(config=config, host=host, networking=networking), warnings


def _name_default_network(host: HostConfig, networking: NetworkingConfig) -> None:
    """`default` means bridge."""
    if host.network_mode in ("", "default"):
        host.network_mode = "bridge"
        endpoints = networking.endpoints_config
        if endpoints and "default" in endpoints:
            endpoints["bridge"] = endpoints.pop("default")


def _check_mounts(host: HostConfig, version: int) -> None:
    for mount in host.mounts or ():
        if version >= 42:
            for name, attribute, kinds in _OPTION_TYPES:
                if getattr(mount, attribute) is not None and mount.type not in kinds:
                    raise InvalidArgument(f'{name} must not be specified on mount type "{mount.type}"')
        binding = mount.bind_options
        if version < 44 and mount.type == "bind" and binding and binding.read_only_force_recursive:
            raise InvalidArgument("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer")
        if version < 45 and mount.volume_options and mount.volume_options.subpath:
            raise InvalidArgument("VolumeOptions.Subpath needs API v1.45 or newer")
        if version < 48 and mount.type == "image":
            raise InvalidArgument('Mount type "Image" needs API v1.48 or newer')


def _age_mounts(host: HostConfig, version: int) -> None:
    """What mounts meant to older clients."""
    for mount in host.mounts or ():
        if version < 42:
            _drop_strange_options(mount)
        if mount.bind_options is None:
            continue
        if version < 40:
            mount.bind_options.non_recursive = False
        if version < 42:
            mount.bind_options.create_mountpoint = False
        if version < 44 and mount.read_only:
            mount.bind_options.read_only_non_recursive = True


def _drop_strange_options(mount: MountPoint) -> None:
    """Options of another mount type were not refused before 1.42."""
    if mount.type != "volume":
        mount.volume_options = None
    if mount.type != "tmpfs":
        mount.tmpfs_options = None


def _age_rest(config: ContainerConfig, host: HostConfig, networking: NetworkingConfig, version: int) -> None:
    endpoints = networking.endpoints_config or {}
    if version < 40 and not host.ipc_mode:
        host.ipc_mode = "shareable"
    if version < 41 and not host.cgroupns_mode:
        host.cgroupns_mode = "host"
    if version < 42:
        host.console_size = None
    if version < 43:
        host.annotations = None
    if version < 44:
        if config.healthcheck is not None:
            config.healthcheck.start_interval = 0
        if len(endpoints) > 1:
            names = ", ".join(endpoints)
            raise InvalidArgument(f"Container cannot be created with multiple network endpoints: {names}")
    if version < 48:
        for endpoint in endpoints.values():
            if endpoint is not None:
                endpoint.gw_priority = 0


def _volume_driver(host: HostConfig, version: int) -> list[str]:
    if not host.volume_driver or version < 48:
        return []
    for mount in host.mounts or ():
        driver = mount.volume_options.driver_config if mount.volume_options else None
        if mount.type == "volume" and not (driver and driver.name):
            return [_DRIVER_IGNORED]
    return []


def _in_a_network(host: HostConfig) -> bool:
    return host.network_mode not in ("host", "none") and not host.network_mode.startswith("container:")


def _mac_address(address: Any, host: HostConfig, networking: NetworkingConfig, version: int) -> list[str]:
    """A container-wide MAC address becomes that of its endpoint."""
    if version < 44:
        if not address:
            for endpoint in (networking.endpoints_config or {}).values():
                if endpoint is not None:
                    endpoint.mac_address = ""
            return []
        if not _in_a_network(host):
            raise InvalidArgument("conflicting options: mac-address and the network mode")
        _main_endpoint(host, networking, version).mac_address = str(address)
        return []
    if not address:
        return []
    if _in_a_network(host):
        endpoint = _main_endpoint(host, networking, version)
        if endpoint.mac_address not in ("", address):
            raise InvalidArgument(
                "the container-wide MAC address must match the endpoint-specific MAC address for the main "
                "network, or be left empty"
            )
        endpoint.mac_address = str(address)
    return [_MAC_DEPRECATED]


def _main_endpoint(host: HostConfig, networking: NetworkingConfig, version: int) -> EndpointSettings:
    """The settings for the network of NetworkMode, made when there are none."""
    endpoints = networking.endpoints_config = networking.endpoints_config or {}
    name = host.network_mode
    if not endpoints:
        endpoints[name] = None
    elif version < 44:
        name = next(iter(endpoints))
    if name not in endpoints:
        raise InvalidArgument(
            "HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks"
        )
    found = endpoints[name] = endpoints[name] or EndpointSettings()
    return found


def _sysctls(host: HostConfig, networking: NetworkingConfig, version: int) -> list[str]:
    """Sysctls of eth0 belong to the endpoint since 1.48; older clients' are moved there."""
    if not host.sysctls or not _in_a_network(host):
        return []
    moved: dict[str, str] = {}
    for name, value in host.sysctls.items():
        found = _ETH_SYSCTL.fullmatch(name)
        if found is None:
            continue
        if version >= 48:
            raise InvalidArgument(
                f'interface specific sysctl setting "{name}" must be supplied using driver option '
                f"'{_ENDPOINT_SYSCTLS}'"
            )
        if found[3] != "eth0":
            raise InvalidArgument(
                f"unable to determine network endpoint for sysctl {name}, use driver option "
                f"'{_ENDPOINT_SYSCTLS}' to set per-interface sysctls"
            )
        moved[name] = f"net.{found[1]}.{found[2]}.IFNAME.{found[4]}={value}"
    if not moved:
        return []
    endpoint = _main_endpoint(host, networking, version)
    options = endpoint.driver_opts = endpoint.driver_opts or {}
    joined = ",".join(moved.values())
    options[_ENDPOINT_SYSCTLS] = ",".join(part for part in (joined, options.get(_ENDPOINT_SYSCTLS)) if part)
    for name in moved:
        del host.sysctls[name]
    names = ",".join(moved)
    return [f'Migrated sysctl "{names}" to DriverOpts{{"{_ENDPOINT_SYSCTLS}":"{joined}"}}.']


def _ports(host: HostConfig, version: int) -> list[str]:
    """A port without bindings is bound to any free one."""
    empty = [port for port, bindings in (host.port_bindings or {}).items() if not bindings]
    for port in empty:
        assert host.port_bindings is not None
        host.port_bindings[port] = [PortBinding()]
    if not empty or version < 52:
        return []
    ports = ", ".join(empty)
    warning = f"Following container port(s) have an empty list of port-bindings: {ports}. "
    return [warning + "Such bindings will be discarded in a future version."]
