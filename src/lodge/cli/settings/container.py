"""The body of POST /containers/create: all flags of `run` and `create` as Config, HostConfig and networks.

Only what was asked for is sent; a field left out means the engine's default, as it does for Docker's clients.
"""

from __future__ import annotations

import os

from lodge.cli.settings.limits import resources
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from lodge.cli.flags import Values


def creation_body(
    values: Values, image: str, command: Sequence[str], environ: Mapping[str, str], *, detach: bool
) -> dict[str, Any]:
    """The whole body. InvalidArgument for values and combinations that Docker's command refuses as well."""
    config = _config(values, image, command, environ)
    config.update(_streams(values, detach))
    host = _host_config(values)
    _take_ports(values, config, host)
    _take_mounts(values, config, host)
    _take_networks(values, config, host)
    config["HostConfig"] = host
    return config


def _streams(values: Values, detach: bool) -> dict[str, bool]:
    attach = values["attach"]
    stdin = values["interactive"]
    if detach:
        if attach:
            raise InvalidArgument("conflicting options: cannot specify both --attach and --detach")
        return {"Tty": values["tty"], "OpenStdin": stdin}
    attached_in = stdin or "stdin" in attach
    return {
        "AttachStdin": attached_in,
        "AttachStdout": not attach or "stdout" in attach,
        "AttachStderr": not attach or "stderr" in attach,
        "Tty": values["tty"],
        "OpenStdin": stdin,
        "StdinOnce": stdin and attached_in,
    }


_CONFIG_FIELDS = (
    ("hostname", "Hostname"),
    ("domainname", "Domainname"),
    ("user", "User"),
    ("workdir", "WorkingDir"),
    ("stop-signal", "StopSignal"),
    ("stop-timeout", "StopTimeout"),
)


def _config(values: Values, image: str, command: Sequence[str], environ: Mapping[str, str]) -> dict[str, Any]:
    config: dict[str, Any] = {"Image": image}
    for flag, field in _CONFIG_FIELDS:
        if flag in values:
            config[field] = values[flag]
    if command:
        config["Cmd"] = list(command)
    if "entrypoint" in values:
        config["Entrypoint"] = [values["entrypoint"]]
    if "env" in values or "env-file" in values:
        from lodge.cli.settings.environment import variables

        config["Env"] = variables(values["env-file"], values["env"], environ)
    if "label" in values or "label-file" in values:
        from lodge.cli.settings.environment import labels

        config["Labels"] = labels(values["label-file"], values["label"])
    if any(f"health-{part}" in values for part in _HEALTH) or "no-healthcheck" in values:
        from lodge.cli.settings.policies import health_check

        if health := health_check(values):
            config["Healthcheck"] = health
    return config


_HEALTH = ("cmd", "interval", "timeout", "retries", "start-period", "start-interval")
_HOST_FIELDS = (
    ("cidfile", "ContainerIDFile"),
    ("rm", "AutoRemove"),
    ("privileged", "Privileged"),
    ("read-only", "ReadonlyRootfs"),
    ("init", "Init"),
    ("group-add", "GroupAdd"),
    ("runtime", "Runtime"),
    ("isolation", "Isolation"),
    ("dns", "Dns"),
    ("dns-option", "DnsOptions"),
    ("dns-search", "DnsSearch"),
    ("add-host", "ExtraHosts"),
    ("link", "Links"),
    ("volumes-from", "VolumesFrom"),
    ("volume-driver", "VolumeDriver"),
)


_POLICY_FLAGS = (
    "restart", "log-driver", "log-opt", "storage-opt", "annotation", "cap-add", "cap-drop",
    "health-on-failure",
)  # fmt: skip


def _host_config(values: Values) -> dict[str, Any]:
    host = resources(values)
    for flag, field in _HOST_FIELDS:
        if flag in values:
            host[field] = values[flag]
    if "sysctl" in values:
        host["Sysctls"] = dict(values["sysctl"])
    for flag in _POLICY_FLAGS:
        if flag in values:
            _take_policies(values, host)
            break
    if "security-opt" in values:
        from lodge.cli.settings.policies import security_options

        host.update(security_options(values["security-opt"]))
    if any(flag in values for flag in ("pid", "ipc", "uts", "userns", "cgroupns")):
        from lodge.cli.settings.policies import namespace_modes

        host.update(namespace_modes(values))
    if "device" in values or "gpus" in values:
        from lodge.cli.settings.devices import parse_devices

        host["Devices"], requests = parse_devices(values["device"])
        host["DeviceRequests"] = [*values["gpus"], *requests]
    return host


def _take_policies(values: Values, host: dict[str, Any]) -> None:
    from lodge.cli.settings.environment import pairs
    from lodge.cli.settings.policies import capabilities, log_config, restart_policy

    if values["restart"] not in ("", "no"):
        host["RestartPolicy"] = restart_policy(values["restart"])
        if values["rm"]:
            raise InvalidArgument("conflicting options: cannot specify both --restart and --rm")
    if "log-driver" in values or "log-opt" in values:
        host["LogConfig"] = log_config(values["log-driver"], values["log-opt"])
    if "storage-opt" in values:
        if not all("=" in option for option in values["storage-opt"]):
            raise InvalidArgument("invalid storage option")
        host["StorageOpt"] = pairs(values["storage-opt"])
    if "annotation" in values:
        host["Annotations"] = pairs([text for text in values["annotation"] if "=" in text])
    if "health-on-failure" in values:
        # An annotation, since Docker's own fields have no place for it.
        host.setdefault("Annotations", {})["io.lodge.health-on-failure"] = values["health-on-failure"]
    for flag, field in (("cap-add", "CapAdd"), ("cap-drop", "CapDrop")):
        if flag in values:
            host[field] = capabilities(values[flag])


def _take_ports(values: Values, config: dict[str, Any], host: dict[str, Any]) -> None:
    if values["publish-all"]:
        host["PublishAllPorts"] = True
    if "publish" in values or "expose" in values:
        from lodge.cli.settings.ports import parse_ports

        config["ExposedPorts"], host["PortBindings"] = parse_ports(values["publish"], values["expose"])


def _take_mounts(values: Values, config: dict[str, Any], host: dict[str, Any]) -> None:
    if "volume" in values:
        from lodge.cli.settings.mounts import parse_volumes

        host["Binds"], config["Volumes"] = parse_volumes(values["volume"], os.getcwd())
    if "tmpfs" in values:
        from lodge.cli.settings.mounts import parse_tmpfs

        host["Tmpfs"] = parse_tmpfs(values["tmpfs"])
    if "mount" in values or "secret" in values:
        host["Mounts"] = [*values["mount"], *values["secret"]]


_NETWORK_FLAGS = ("network", "network-alias", "ip", "ip6", "link-local-ip", "mac-address")


def _take_networks(values: Values, config: dict[str, Any], host: dict[str, Any]) -> None:
    host["NetworkMode"] = "default"
    if "network-rate" in values:
        from lodge.cli.settings.networks import rates

        host.setdefault("Annotations", {}).update(rates(values["network-rate"]))
    if any(flag in values for flag in _NETWORK_FLAGS):
        from lodge.cli.settings.networks import network_settings

        host["NetworkMode"], endpoints = network_settings(values)
        if endpoints:
            config["NetworkingConfig"] = {"EndpointsConfig": endpoints}
