"""A container's wish in answers: Config and HostConfig with Docker's nulls and absent members. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from lodge.spec.container import ContainerConfig, EndpointSettings, HealthCheck, HostConfig, MountPoint

_CONFIG_OMITS = (
    "ExposedPorts", "Healthcheck", "ArgsEscaped", "NetworkDisabled", "StopSignal", "Shell",
)  # fmt: skip
_HOST_OMITS = ("Annotations", "StorageOpt", "Tmpfs", "Sysctls", "Runtime", "Mounts", "Init")


def config(value: ContainerConfig, version: int) -> dict[str, Any]:
    """Config of an inspected container."""
    out: dict[str, Any] = msgspec.to_builtins(value)
    for name in _CONFIG_OMITS:
        if not out[name]:
            del out[name]
    if out["StopTimeout"] is None:
        del out["StopTimeout"]
    if not out["OnBuild"] and version >= 52:
        del out["OnBuild"]
    if value.healthcheck is not None:
        out["Healthcheck"] = health_check(value.healthcheck)
    return out


def health_check(value: HealthCheck) -> dict[str, Any]:
    """A probe with only what was given."""
    return {name: member for name, member in msgspec.to_builtins(value).items() if member}


def host_config(value: HostConfig) -> dict[str, Any]:
    """HostConfig of an inspected container."""
    out: dict[str, Any] = msgspec.to_builtins(value)
    for name in _HOST_OMITS:
        if not out[name] and out[name] is not False:
            del out[name]
    out["ConsoleSize"] = out["ConsoleSize"] or [0, 0]
    out["LogConfig"]["Config"] = out["LogConfig"]["Config"] or {}
    out["RestartPolicy"]["Name"] = out["RestartPolicy"]["Name"] or "no"
    out["PortBindings"] = out["PortBindings"] or {}
    if value.mounts:
        out["Mounts"] = [mount(one) for one in value.mounts]
    return out


def mount(value: MountPoint) -> dict[str, Any]:
    """One mount as it was wished, without what was left open."""
    pruned: dict[str, Any] = _without_empty(msgspec.to_builtins(value))
    return pruned


def _without_empty(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kept = {name: _without_empty(member) for name, member in value.items()}
    return {name: member for name, member in kept.items() if member or member == {}}


def endpoint(value: EndpointSettings) -> dict[str, Any]:
    """A place in a network; its empty IPAM members are left out."""
    out: dict[str, Any] = msgspec.to_builtins(value)
    if value.ipam_config is not None:
        out["IPAMConfig"] = _without_empty(out["IPAMConfig"])
    return out
