"""Bodies of requests that are not a container's wish: typed, with Docker's names and defaults."""

from __future__ import annotations

from typing import Any

from msgspec import field

from lodge.spec.container import EndpointSettings, Limits, PortBinding, RestartPolicy, Settings


class ExecCreate(Settings):
    """POST /containers/{name}/exec."""

    user: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: list[int] | None = None
    attach_stdin: bool = False
    attach_stderr: bool = False
    attach_stdout: bool = False
    detach_keys: str = ""
    env: list[str] | None = None
    working_dir: str = ""
    cmd: list[str] | None = None


class ExecStart(Settings):
    """POST /exec/{id}/start."""

    detach: bool = False
    tty: bool = False
    console_size: list[int] | None = None


class Update(Limits):
    """POST /containers/{name}/update; ports and annotations are ours: no client of Docker sends them."""

    restart_policy: RestartPolicy | None = None
    port_bindings: dict[str, list[PortBinding] | None] | None = None
    annotations: dict[str, str] | None = None


class VolumeCreate(Settings):
    """POST /volumes/create."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    cluster_volume_spec: dict[str, Any] | None = None


class IpamRange(Settings):
    """One entry of IPAM.Config."""

    subnet: str = ""
    ip_range: str = field(default="", name="IPRange")
    gateway: str = ""
    auxiliary_addresses: dict[str, str] | None = None


class Ipam(Settings):
    """Who gives the addresses, and of which ranges."""

    driver: str = ""
    options: dict[str, str] | None = None
    config: list[IpamRange] | None = None


class ConfigReference(Settings):
    """The network whose settings are taken."""

    network: str = ""


class NetworkCreate(Settings):
    """POST /networks/create."""

    name: str = ""
    check_duplicate: bool | None = None
    driver: str = ""
    scope: str = ""
    enable_ipv4: bool | None = field(default=None, name="EnableIPv4")
    enable_ipv6: bool | None = field(default=None, name="EnableIPv6")
    ipam: Ipam | None = field(default=None, name="IPAM")
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: ConfigReference | None = None
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class NetworkConnect(Settings):
    """POST /networks/{id}/connect and disconnect."""

    container: str = ""
    force: bool = False
    endpoint_config: EndpointSettings | None = None


class SecretCreate(Settings):
    """POST /lodge/secrets/create: the value in base64."""

    name: str = ""
    labels: dict[str, str] | None = None
    data: str = ""


class AuthConfig(Settings):
    """POST /auth."""

    username: str = ""
    password: str = ""
    auth: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


def window(size: list[int] | None) -> tuple[int, int] | None:
    """A console's rows and columns; None when it is not given or is [0, 0]."""
    if not size or len(size) != 2 or not any(size):
        return None
    return size[0], size[1]
