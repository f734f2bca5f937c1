"""Everything in a wish that can be refused before anything is made, in Docker's words.

`check` also writes the defaults that depend on the settings into the wish, as Docker's inspect shows them,
and gives the warnings. What depends on other containers or on the image is checked by who has these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lodge.engine.planning import (
    capabilities,
    devices,
    environment,
    limits,
    machines,
    namespaces,
    remap,
    security,
    sysctls,
)
from lodge.engine.planning.defaults import MASKED_PATHS, READONLY_PATHS
from lodge.engine.planning.files import check_extra_host
from lodge.engine.planning.host import HostFacts
from lodge.engine.planning.merge import check_working_directory
from lodge.engine.planning.mount_wishes import parse_bind, parse_mount, parse_tmpfs, parse_volumes_from
from lodge.engine.settings import DEFAULT_RUNTIME, OWN_RUNTIMES, Settings
from lodge.errors import InvalidArgument, Unsupported
from lodge.kernel.process.signals import signal_number
from lodge.spec.container import ContainerConfig, HealthCheck, HostConfig, RestartPolicy, Ulimit, Wish

_MILLISECOND = 10**6
_ULIMITS = frozenset(
    {"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss"}
    | {"rtprio", "rttime", "sigpending", "stack"}
)
_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?")
_HOST_PORT = re.compile(r"[0-9]{1,5}(?:-[0-9]{1,5})?")
_LONGEST_HOSTNAME = 63
ON_UNHEALTHY = "io.lodge.health-on-failure"
"""The annotation that says what becomes of an unhealthy container."""
_UNHEALTHY_ACTIONS = ("none", "restart", "stop", "kill")


def check(wish: Wish, settings: Settings, facts: HostFacts) -> list[str]:
    """Refuse or complete the wish; gives the warnings."""
    _check_config(wish.config)
    warnings = _check_host(wish.host, settings, facts)
    warnings += limits.check(wish.host, facts)
    complete(wish.host, settings, facts)
    if wish.host.network_mode == namespaces.HOST and wish.host.port_bindings:
        warnings.append("Published ports are discarded when using host network mode")
    return warnings


def _check_config(config: ContainerConfig) -> None:
    check_working_directory(config)
    if config.stop_signal:
        check_signal(config.stop_signal)
    environment.check(config.env)
    check_health(config.healthcheck)
    if len(config.hostname) > _LONGEST_HOSTNAME:
        raise InvalidArgument(f'hostname "{config.hostname}" is too long (maximum {_LONGEST_HOSTNAME} bytes)')


def check_signal(name: str) -> int:
    """The number of a signal; InvalidArgument "invalid signal: x"."""
    try:
        return signal_number(name)
    except ValueError:
        raise InvalidArgument(f"invalid signal: {name}") from None


def check_health(check: HealthCheck | None) -> None:
    """Times of less than a millisecond are mistakes of the unit; InvalidArgument."""
    if check is None:
        return
    for name, value in (
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
    ):
        if value and value < _MILLISECOND:
            raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")
    if check.retries < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")
    if check.test and check.test[0] not in ("NONE", "CMD", "CMD-SHELL"):
        raise InvalidArgument(f"Unknown type {check.test[0]!r} in Healthcheck (try CMD)")


def _check_host(host: HostConfig, settings: Settings, facts: HostFacts) -> list[str]:
    if host.auto_remove and host.restart_policy.name not in ("", "no"):
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")
    for text in host.extra_hosts or ():
        check_extra_host(text)
    _check_ports(host)
    check_restart_policy(host.restart_policy)
    capabilities.normalise(host.cap_add, facts.capabilities, "CapAdd")
    capabilities.normalise(host.cap_drop, facts.capabilities, "CapDrop")
    machines.check(host)
    if "" in (host.annotations or {}):
        raise InvalidArgument("invalid Annotations: the empty string is not permitted as an annotation key")
    _check_annotations(host.annotations)
    namespaces.check(host)
    remap.check(host, facts.mappings)
    if host.shm_size < 0:
        raise InvalidArgument("SHM size can not be less than 0")
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidArgument(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    check_runtime(host.runtime, settings)
    _check_mounts(host)
    for ulimit in host.ulimits or ():
        check_ulimit(ulimit)
    devices.check(host)
    security.check(security.parse(host.security_opt), facts)
    _refuse_what_is_missing(host)
    sysctls.check(host)
    return []


def _check_ports(host: HostConfig) -> None:
    for port, bindings in (host.port_bindings or {}).items():
        match = _PORT.fullmatch(port)
        if not match or not 0 < int(match[1]) < 65536:
            raise InvalidArgument(f'invalid port specification: "{port}"')
        for binding in bindings or ():
            if binding.host_port and not _HOST_PORT.fullmatch(binding.host_port):
                raise InvalidArgument(f'invalid port specification: "{binding.host_port}"')


def check_restart_policy(policy: RestartPolicy) -> None:
    """InvalidArgument in Docker's words; a count belongs to on-failure alone."""
    count = policy.maximum_retry_count
    match policy.name:
        case "always" | "unless-stopped" | "no":
            if count:
                words = "can only be used with 'on-failure'"
                if count < 0:
                    words += " and cannot be negative"
                raise InvalidArgument(f"invalid restart policy: maximum retry count {words}")
        case "on-failure":
            if count < 0:
                raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
        case "":
            if count:
                raise InvalidArgument(
                    "invalid restart policy: unknown policy ''; use one of 'no', 'always', "
                    "'on-failure', or 'unless-stopped'"
                )
        case _:
            raise InvalidArgument(
                f"invalid restart policy: unknown policy '{policy.name}';"
                " use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
            )


def check_runtime(name: str, settings: Settings) -> None:
    """InvalidArgument for a runtime that is not set up."""
    if name and name not in (*OWN_RUNTIMES, machines.VM) and name not in settings.runtimes:
        raise InvalidArgument(
            f"unknown or invalid runtime name: {name}",
            hint=f"known are {', '.join([DEFAULT_RUNTIME, machines.VM, *sorted(settings.runtimes)])}",
        )


def _check_annotations(annotations: Mapping[str, str] | None) -> None:
    action = (annotations or {}).get(ON_UNHEALTHY, "none")
    if action not in _UNHEALTHY_ACTIONS:
        raise InvalidArgument(
            f"invalid annotation {ON_UNHEALTHY}: {action!r}",
            hint=f"known are {', '.join(_UNHEALTHY_ACTIONS)}",
        )


def _check_mounts(host: HostConfig) -> None:
    for text in host.binds or ():
        parse_bind(text, host.volume_driver)
    for mount in host.mounts or ():
        parse_mount(mount)
    for place, options in (host.tmpfs or {}).items():
        parse_tmpfs(place, options)
    for text in host.volumes_from or ():
        parse_volumes_from(text)


def check_ulimit(ulimit: Ulimit) -> None:
    """InvalidArgument in Docker's words."""
    if ulimit.name not in _ULIMITS:
        raise InvalidArgument(f"invalid ulimit type: {ulimit.name}")
    if ulimit.hard != -1 and (ulimit.soft > ulimit.hard or ulimit.soft == -1):
        raise InvalidArgument(
            f"ulimit soft limit must be less than or equal to hard limit: {ulimit.soft} > {ulimit.hard}"
        )


def _refuse_what_is_missing(host: HostConfig) -> None:
    if host.storage_opt:
        raise Unsupported(
            "storage options for a container's files (--storage-opt) need a file system with project quotas,"
            " which this engine does not use yet"
        )
    if host.cgroup:
        raise Unsupported("joining another container's control group is not supported")


def complete(host: HostConfig, settings: Settings, facts: HostFacts) -> None:
    """Write the defaults into what the wish left open."""
    host.restart_policy.name = host.restart_policy.name or "no"
    host.network_mode = host.network_mode or "default"
    host.runtime = host.runtime or settings.default_runtime
    host.shm_size = host.shm_size or settings.shm_size
    host.ipc_mode = host.ipc_mode or settings.ipc_mode
    if host.memory > 0 and host.memory_swap == 0:
        host.memory_swap = 2 * host.memory
    if not host.cgroupns_mode:
        docker_s = namespaces.HOST if facts.cgroup_version == 1 else namespaces.PRIVATE
        host.cgroupns_mode = settings.cgroup_namespace or docker_s
    if host.oom_kill_disable is None and facts.cgroup_version == 1:
        host.oom_kill_disable = False
    named = {ulimit.name for ulimit in host.ulimits or ()}
    further = [ulimit for ulimit in settings.ulimits if ulimit.name not in named]
    if further:
        host.ulimits = [*(host.ulimits or ()), *further]
    _complete_paths(host)


def _complete_paths(host: HostConfig) -> None:
    open_all = host.privileged or security.parse(host.security_opt).unmasked
    if host.masked_paths is None:
        host.masked_paths = [] if open_all else list(MASKED_PATHS)
    if host.readonly_paths is None:
        host.readonly_paths = [] if open_all else list(READONLY_PATHS)
