"""Containers in answers: inspect, list, state, status line, ports, mounts. Pure."""

from __future__ import annotations

import time
from typing import Any

from lodge.api import shapes_config
from lodge.api.times import rfc3339, span
from lodge.engine.models import Container, ContainerState, Health, MountRecord

_NO_NETWORK = ("none", "host")
_LEGACY_NETWORK = {
    "Bridge": "", "HairpinMode": False, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0,
    "SecondaryIPAddresses": None, "SecondaryIPv6Addresses": None,
}  # fmt: skip
_LEGACY_ENDPOINT = (
    "EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPAddress", "IPPrefixLen",
    "IPv6Gateway", "MacAddress",
)  # fmt: skip
Sizes = tuple[int, int] | None
"""Bytes written, and bytes of the whole root file system."""


def inspect(container: Container, version: int, sizes: Sizes = None) -> dict[str, Any]:
    """All of one container."""
    out: dict[str, Any] = {
        "Id": container.id,
        "Created": rfc3339(container.created_at),
        "Path": container.path,
        "Args": container.args,
        "State": state(container.state),
        "Image": container.image_id,
        "ResolvConfPath": container.resolv_conf_path,
        "HostnamePath": container.hostname_path,
        "HostsPath": container.hosts_path,
        "LogPath": container.log_path,
        "Name": "/" + container.name,
        "RestartCount": container.restart_count,
        "Driver": container.snapshotter,
        "Platform": container.platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": container.apparmor_profile,
        "ExecIDs": container.exec_ids or None,
        "HostConfig": shapes_config.host_config(container.wish.host),
        "Mounts": [mount_record(one) for one in container.mounts],
        "Config": shapes_config.config(container.wish.config, version),
        "NetworkSettings": network_settings(container, version),
    }
    if version < 52:
        out["GraphDriver"] = {"Name": container.snapshotter, "Data": None}
    else:
        out["Storage"] = {"RootFS": {"Snapshot": {"Name": container.snapshotter}}}
    if sizes is not None:
        out["SizeRw"], out["SizeRootFs"] = sizes
    if version < 45:
        _add_aliases(out, container)
    return out


def _add_aliases(out: dict[str, Any], container: Container) -> None:
    """Old clients see the short id and the host name among a user-defined network's aliases."""
    for name, endpoint in out["NetworkSettings"]["Networks"].items():
        if name not in ("bridge", "default", *_NO_NETWORK):
            aliases = [*(endpoint["Aliases"] or ()), container.id[:12], container.wish.config.hostname]
            endpoint["Aliases"] = list(dict.fromkeys(aliases))


def state(value: ContainerState) -> dict[str, Any]:
    """The State member."""
    out: dict[str, Any] = {
        "Status": value.status,
        "Running": value.running,
        "Paused": value.status == "paused",
        "Restarting": value.status == "restarting",
        "OOMKilled": value.oom_killed,
        "Dead": value.status == "dead",
        "Pid": value.pid,
        "ExitCode": value.exit_code,
        "Error": value.error,
        "StartedAt": rfc3339(value.started_at),
        "FinishedAt": rfc3339(value.finished_at),
    }
    if value.health is not None:
        out["Health"] = health(value.health)
    return out


def health(value: Health) -> dict[str, Any]:
    """The State.Health member."""
    log = [
        {
            "Start": rfc3339(probe.start),
            "End": rfc3339(probe.end),
            "ExitCode": probe.exit_code,
            "Output": probe.output,
        }
        for probe in value.log
    ]
    return {"Status": value.status, "FailingStreak": value.failing_streak, "Log": log}


def mount_record(value: MountRecord) -> dict[str, Any]:
    """One mount that a container got."""
    out: dict[str, Any] = {"Type": value.type}
    if value.name:
        out["Name"] = value.name
    out |= {"Source": value.source, "Destination": value.destination}
    if value.driver:
        out["Driver"] = value.driver
    return out | {"Mode": value.mode, "RW": value.read_write, "Propagation": value.propagation}


def networks(container: Container) -> dict[str, Any]:
    """The container's places in networks, by their names."""
    asked = container.wish.networking.endpoints_config or {}
    found = {name: shapes_config.endpoint(one) for name, one in container.networks.items()}
    for name, shaped in found.items():
        if not shaped["MacAddress"] and (wish := asked.get(name)) is not None:
            shaped["MacAddress"] = wish.mac_address
    return found


def network_settings(container: Container, version: int) -> dict[str, Any]:
    """NetworkSettings of an inspected container."""
    joined = networks(container)
    out: dict[str, Any] = {
        "SandboxID": container.sandbox_id,
        "SandboxKey": f"/proc/{container.state.pid}/ns/net" if container.sandbox_id else "",
        "Ports": _port_map(container),
        "Networks": joined,
    }
    if version < 52:
        bridge = joined.get("bridge", {})
        numbers = ("GlobalIPv6PrefixLen", "IPPrefixLen")
        out |= _LEGACY_NETWORK
        out |= {name: bridge.get(name, 0 if name in numbers else "") for name in _LEGACY_ENDPOINT}
    return out


def _port_map(container: Container) -> dict[str, Any]:
    """Exposed ports and where they are published, while the container runs in a network."""
    if not any(one.ip_address or one.global_ipv6_address for one in container.networks.values()):
        return {}
    ports: dict[str, Any] = {_with_protocol(port): None for port in container.wish.config.exposed_ports or {}}
    for port, bindings in container.ports.items():
        ports[port] = [{"HostIp": one.host_ip, "HostPort": one.host_port} for one in bindings]
    return ports


def _with_protocol(port: str) -> str:
    return port if "/" in port else f"{port}/tcp"


def port_list(container: Container) -> list[dict[str, Any]]:
    """Ports of a listed container."""
    found: list[dict[str, Any]] = []
    for port, bindings in sorted(_port_map(container).items()):
        number, _, protocol = port.partition("/")
        if not number.isdecimal():
            continue
        entry = {"PrivatePort": int(number), "Type": protocol or "tcp"}
        published = [one for one in bindings or () if one["HostPort"].isdecimal()]
        found += [
            {"IP": one["HostIp"] or "0.0.0.0", "PublicPort": int(one["HostPort"]), **entry}
            for one in published
        ] or [entry]
    return found


def summary(container: Container, version: int, sizes: Sizes = None) -> dict[str, Any]:
    """One line of the list."""
    host: dict[str, Any] = {"NetworkMode": container.wish.host.network_mode}
    if version >= 46 and container.wish.host.annotations:
        host["Annotations"] = container.wish.host.annotations
    out: dict[str, Any] = {
        "Id": container.id,
        "Names": ["/" + container.name],
        "Image": container.image_name,
        "ImageID": container.image_id,
        "Command": command_line(container),
        "Created": container.created_at // 1_000_000_000,
        "Ports": port_list(container),
        "Labels": container.wish.config.labels or {},
        "State": container.state.status,
        "Status": status_line(container.state, time.time_ns()),
        "HostConfig": host,
        "NetworkSettings": {"Networks": networks(container)},
        "Mounts": [mount_record(one) for one in container.mounts],
    }
    if version >= 52 and container.state.health is not None:
        now = container.state.health
        out["Health"] = {"Status": now.status, "FailingStreak": now.failing_streak}
    if sizes is not None:
        out |= {name: size for name, size in zip(("SizeRw", "SizeRootFs"), sizes, strict=True) if size}
    return out


def command_line(container: Container) -> str:
    """Program and arguments in one line; arguments with blanks in quotes."""
    arguments = (f"'{one}'" if " " in one else one for one in container.args)
    return " ".join((container.path, *arguments))


def status_line(value: ContainerState, now: int) -> str:
    """What `ps` shows under STATUS."""
    since_start = span((now - value.started_at) / 1e9)
    since_end = span((now - value.finished_at) / 1e9)
    match value.status:
        case "running":
            return f"Up {since_start}{_health_suffix(value)}"
        case "paused":
            return f"Up {since_start} (Paused)"
        case "restarting":
            return f"Restarting ({value.exit_code}) {since_end} ago"
        case "removing":
            return "Removal In Progress"
        case "dead":
            return "Dead"
        case "exited" if value.finished_at:
            return f"Exited ({value.exit_code}) {since_end} ago"
        case "exited":
            return ""
        case _:
            return "Created"


def _health_suffix(value: ContainerState) -> str:
    if value.health is None:
        return ""
    return " (health: starting)" if value.health.status == "starting" else f" ({value.health.status})"
