"""The library's arguments, read into a wish. Pure; sizes may be numbers of bytes or words as "512m"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypedDict

from lodge.errors import InvalidArgument
from lodge.spec.container import (
    ContainerConfig,
    DeviceMapping,
    EndpointSettings,
    HostConfig,
    MountPoint,
    PortBinding,
    RestartPolicy,
    Wish,
)

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)(?:i?b)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

Command = Sequence[str] | str | None


class Options(TypedDict, total=False):
    """What can be said of a container beside its image and command; everything may be left out.

    `env` variables; `workdir`, `user` (name, uid, uid:gid), `hostname`, `entrypoint`; `memory` bytes or
    "512m", `cpus` as 1.5, `pids` the number of tasks; `network` none (the default), bridge, host,
    container:NAME or the name of a network; `aliases` further names in it; `ports` as {"80/tcp": 8080}, a
    port of this host, an (address, port), or None for any;
    `mounts` as `docker run -v` takes them ("/host:/place:ro", "volume:/place") or MountPoint values;
    `tmpfs` place to options; `tty`; `read_only` root; `privileged`; `cap_add`, `cap_drop`, `security_opt`;
    `devices` paths; `init`; `labels`; `runtime`; `shm_size`; `stop_signal`; `restart` policy as
    "on-failure:3"; `platform`.
    """

    env: Mapping[str, str] | None
    workdir: str | None
    user: str | None
    hostname: str | None
    entrypoint: Sequence[str] | str | None
    memory: int | str | None
    cpus: float | None
    pids: int | None
    network: str | None
    aliases: Sequence[str]
    ports: Mapping[str | int, int | tuple[str, int] | None]
    mounts: Sequence[str | MountPoint]
    tmpfs: Mapping[str, str] | Sequence[str] | None
    tty: bool
    read_only: bool
    privileged: bool
    cap_add: Sequence[str]
    cap_drop: Sequence[str]
    security_opt: Sequence[str]
    devices: Sequence[str]
    init: bool | None
    labels: Mapping[str, str] | None
    runtime: str | None
    shm_size: int | str | None
    stop_signal: str | None
    restart: str | None
    platform: str | None


KNOWN = frozenset(Options.__annotations__)


def size(value: int | str | None) -> int:
    """Bytes; InvalidArgument for a word that is no size."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    match = _SIZE.fullmatch(value.strip())
    if not match:
        raise InvalidArgument(
            f"invalid size: {value!r}", hint='write bytes, or a number with k, m or g: "512m"'
        )
    return int(float(match[1]) * _UNITS[match[2].lower()])


def words(command: Command) -> list[str] | None:
    """A command's words; a text is given to the shell."""
    if command is None:
        return None
    return ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)


def wish(image: str, command: Command, options: Options, *, stdin: bool, keep_log: bool) -> Wish:
    """All of it as the engine takes it; InvalidArgument for an option that is none."""
    for name in options:
        if name not in KNOWN:
            raise InvalidArgument(f"unknown option {name!r}", hint=f"known are {', '.join(sorted(KNOWN))}")
    found = Wish(config=_config(image, command, options, stdin=stdin), host=_host(options, keep_log=keep_log))
    _take_network(found, options)
    return found


def _take_network(found: Wish, options: Options) -> None:
    if aliases := options.get("aliases"):
        endpoint = EndpointSettings(aliases=list(aliases))
        found.networking.endpoints_config = {found.host.network_mode: endpoint}
    if ports := options.get("ports"):
        found.host.port_bindings = {_port(port): [_binding(place)] for port, place in ports.items()}
        found.config.exposed_ports = {port: {} for port in found.host.port_bindings}


def _port(text: str | int) -> str:
    return f"{text}/tcp" if isinstance(text, int) or "/" not in text else text


def _binding(place: int | tuple[str, int] | None) -> PortBinding:
    if place is None:
        return PortBinding()
    address, port = place if isinstance(place, tuple) else ("", place)
    return PortBinding(host_ip=address, host_port=str(port or ""))


def _config(image: str, command: Command, options: Options, *, stdin: bool) -> ContainerConfig:
    entrypoint = options.get("entrypoint")
    return ContainerConfig(
        image=image,
        cmd=words(command),
        env=[f"{name}={value}" for name, value in (options.get("env") or {}).items()],
        working_dir=options.get("workdir") or "",
        user=options.get("user") or "",
        hostname=options.get("hostname") or "",
        entrypoint=[entrypoint] if isinstance(entrypoint, str) else list(entrypoint) if entrypoint else None,
        tty=options.get("tty", False),
        open_stdin=stdin,
        stdin_once=stdin,
        labels=dict(options.get("labels") or {}),
        stop_signal=options.get("stop_signal"),
    )


def _host(options: Options, *, keep_log: bool) -> HostConfig:
    mounts = options.get("mounts") or ()
    tmpfs = options.get("tmpfs") or {}
    cpus = options.get("cpus")
    host = HostConfig(
        network_mode=options.get("network") or "none",
        binds=[mount for mount in mounts if isinstance(mount, str)],
        mounts=[mount for mount in mounts if not isinstance(mount, str)],
        tmpfs=dict(tmpfs) if isinstance(tmpfs, Mapping) else dict.fromkeys(tmpfs, ""),
        memory=size(options.get("memory")),
        nano_cpus=round(cpus * 10**9) if cpus else 0,
        pids_limit=options.get("pids"),
        readonly_rootfs=options.get("read_only", False),
        privileged=options.get("privileged", False),
        cap_add=list(options.get("cap_add") or ()),
        cap_drop=list(options.get("cap_drop") or ()),
        security_opt=list(options.get("security_opt") or ()),
        init=options.get("init"),
        runtime=options.get("runtime") or "",
        shm_size=size(options.get("shm_size")),
        restart_policy=_restart(options.get("restart")),
    )
    host.devices = _devices(options.get("devices") or ())
    if not keep_log:
        host.log_config.type = "none"
    return host


def _devices(paths: Sequence[str]) -> list[DeviceMapping]:
    found = []
    for text in paths:
        source, _, rest = text.partition(":")
        target, _, access = rest.partition(":")
        found.append(
            DeviceMapping(
                path_on_host=source, path_in_container=target or source, cgroup_permissions=access or "rwm"
            )
        )
    return found


def _restart(text: str | None) -> RestartPolicy:
    name, _, count = (text or "no").partition(":")
    if count and not count.isdecimal():
        raise InvalidArgument(f"invalid restart policy {text!r}")
    return RestartPolicy(name=name, maximum_retry_count=int(count or 0))
