"""Devices of the host in the container: --device, --device-cgroup-rule, and all of them for --privileged."""

from __future__ import annotations

import re

from lodge.engine.planning.defaults import ALL_DEVICES, DEVICE_RULES
from lodge.engine.planning.host import DeviceNode, HostFacts
from lodge.errors import InvalidArgument, Unsupported
from lodge.spec.container import DeviceMapping, HostConfig
from lodge.spec.runtime import Device, DeviceRule

_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")
_ACCESS = re.compile(r"[rwm]{1,3}")


def check(host: HostConfig) -> None:
    """Refuse what is malformed, and device requests, for which no driver is here."""
    for rule in host.device_cgroup_rules or ():
        _rule(rule)
    for mapping in host.devices or ():
        access = mapping.cgroup_permissions
        if access and (not _ACCESS.fullmatch(access) or len(set(access)) != len(access)):
            raise InvalidArgument(f"bad format for device cgroup permissions: {access}")
    for request in host.device_requests or ():
        words = [word for group in request.capabilities or () for word in group]
        raise Unsupported(
            f'could not select device driver "{request.driver}" with capabilities: [[{" ".join(words)}]]',
            hint="no GPU or CDI device driver is part of this engine yet; use --device for single devices",
        )


def plan(host: HostConfig, facts: HostFacts) -> tuple[list[Device], list[DeviceRule]]:
    """The nodes to make and the rules of the device control group."""
    if host.privileged:
        nodes = [_device(node, node.path) for node in facts.devices("/dev")]
        for mapping in host.devices or ():
            if mapping.path_on_host != mapping.path_in_container:
                nodes += [device for device, _ in _mapped(mapping, facts)]
        return _last_wins(nodes), list(ALL_DEVICES)
    found = [pair for mapping in host.devices or () for pair in _mapped(mapping, facts)]
    rules = [*DEVICE_RULES, *(rule for _, rule in found)]
    rules += [_rule(text) for text in host.device_cgroup_rules or ()]
    return _last_wins([device for device, _ in found]), rules


def _last_wins(devices: list[Device]) -> list[Device]:
    return list({device.path: device for device in devices}.values())


def _mapped(mapping: DeviceMapping, facts: HostFacts) -> list[tuple[Device, DeviceRule]]:
    source = mapping.path_on_host
    target = mapping.path_in_container or source
    access = mapping.cgroup_permissions or "rwm"
    try:
        nodes = facts.devices(source)
    except OSError as error:
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{source}": '
            f"{(error.strerror or str(error)).lower()}"
        ) from error
    if not nodes:
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{source}": not a device node'
        )
    return [
        (
            _device(node, target + node.path.removeprefix(source)),
            DeviceRule(allow=True, type=node.type, major=node.major, minor=node.minor, access=access),
        )
        for node in nodes
    ]


def _device(node: DeviceNode, path: str) -> Device:
    return Device(
        path=path,
        type=node.type,
        major=node.major,
        minor=node.minor,
        file_mode=node.mode,
        uid=node.uid,
        gid=node.gid,
    )


def _rule(text: str) -> DeviceRule:
    match = _RULE.fullmatch(text)
    if not match:
        raise InvalidArgument(f"invalid device cgroup rule format: '{text}'")
    kind, major, minor, access = match.groups()
    return DeviceRule(
        allow=True,
        type=kind,
        major=None if major == "*" else int(major),
        minor=None if minor == "*" else int(minor),
        access=access,
    )
