"""The runtime config and the extras of a container: everything that its monitor is told about its dwelling.

Pure: takes a container whose wish is complete, and what was made or looked up for this start.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from msgspec import Struct

from lodge.engine.models import Container, ExecWish
from lodge.engine.planning import (
    capabilities,
    devices,
    environment,
    limits,
    mounts,
    namespaces,
    remap,
    security,
    sysctls,
)
from lodge.engine.planning.host import HostFacts
from lodge.engine.planning.mount_wishes import MountWish, clean
from lodge.engine.planning.namespaces import HOST, Shared
from lodge.engine.settings import Settings
from lodge.runtime.process.extras import CopyUp, Extras
from lodge.spec.container import HostConfig, Ulimit
from lodge.spec.runtime import (
    OCI_VERSION,
    ConsoleSize,
    Linux,
    Mount,
    Process,
    Rlimit,
    Root,
    RuntimeConfig,
    Seccomp,
)

INIT_IN_CONTAINER = "/sbin/docker-init"
_INFINITE = 2**64 - 1


class Found(Struct, kw_only=True):
    """What was made or looked up for one start.

    `files` are (destination, source) of the engine's own; `fresh` the volumes that may be filled from the
    image, as (destination, source); `init_path` a host's init program, "" for none; `network_path` a network
    namespace that is ready; `linked` the variables that links bring.
    """

    mounts: list[MountWish] = []
    image_mounts: list[Mount] = []
    files: list[tuple[str, str]] = []
    fresh: list[tuple[str, str]] = []
    shared: Shared = Shared()
    shm_source: str = ""
    host_mqueue: bool = True
    init_path: str = ""
    network_path: str = ""
    linked: list[str] = []
    root: str = "rootfs"


def runtime_config(container: Container, found: Found, settings: Settings, facts: HostFacts) -> RuntimeConfig:
    """The whole config; InvalidArgument for a device or profile that can't be used."""
    wish, host = container.wish, container.wish.host
    options = security.parse(host.security_opt, no_new_privileges=settings.no_new_privileges)
    caps = capabilities.chosen(
        host.cap_add, host.cap_drop, privileged=host.privileged, known=facts.capabilities
    )
    writable = host.privileged if options.writable_cgroups is None else options.writable_cgroups
    # A remapped root owns nothing there, and could not mount it read-only (as Docker has it).
    writable = writable or remap.wanted(host, facts.mappings)
    all_mounts, propagation = mounts.plan(
        host,
        [m for m in found.mounts if m.type != "image"],
        files=found.files,
        writable_cgroups=writable,
        host_ipc=host.ipc_mode == HOST,
        shm_source=found.shm_source,
        host_mqueue=found.host_mqueue,
    )
    all_mounts += found.image_mounts
    if found.init_path:
        all_mounts.append(_init_mount(found.init_path))
    own_uts = host.uts_mode != HOST
    return RuntimeConfig(
        oci_version=OCI_VERSION,
        root=Root(path=found.root, readonly=host.readonly_rootfs),
        mounts=all_mounts,
        process=_process(container, caps, options, found),
        hostname=wish.config.hostname if own_uts else "",
        annotations=host.annotations or {},
        linux=_linux(
            container, found, settings, facts, _filter(host, options, caps, settings, facts), propagation
        ),
    )


def _filter(
    host: HostConfig,
    options: security.Security,
    caps: list[str],
    settings: Settings,
    facts: HostFacts,
) -> Seccomp | None:
    return security.seccomp_filter(
        options, caps, privileged=host.privileged, default=settings.seccomp_profile, facts=facts
    )


def _init_mount(source: str) -> Mount:
    return Mount(destination=INIT_IN_CONTAINER, type="bind", source=source, options=["bind", "ro"])


def _process(container: Container, caps: list[str], options: security.Security, found: Found) -> Process:
    config, host = container.wish.config, container.wish.host
    words = [container.path, *container.args]
    size = host.console_size if config.tty else None
    return Process(
        cwd=config.working_dir or "/",
        args=[INIT_IN_CONTAINER, "--", *words] if found.init_path else words,
        env=environment.of_container(config.hostname, config.tty, [*found.linked, *(config.env or ())]),
        terminal=config.tty,
        console_size=ConsoleSize(height=size[0], width=size[1]) if size and any(size) else None,
        capabilities=capabilities.sets(caps),
        rlimits=[rlimit(ulimit) for ulimit in host.ulimits or ()],
        no_new_privileges=options.no_new_privileges,
        apparmor_profile="" if options.apparmor == security.UNCONFINED else options.apparmor,
        oom_score_adj=host.oom_score_adj,
    )


def rlimit(ulimit: Ulimit) -> Rlimit:
    """One limit in the kernel's spelling."""
    return Rlimit(
        type=f"RLIMIT_{ulimit.name.upper()}",
        hard=_INFINITE if ulimit.hard == -1 else ulimit.hard,
        soft=_INFINITE if ulimit.soft == -1 else ulimit.soft,
    )


def _group(parent: str, id: str) -> str:
    """The control group's path; a parent's `..` can't lead out of the hierarchy."""
    return posixpath.join(clean(parent), id)


def _linux(
    container: Container,
    found: Found,
    settings: Settings,
    facts: HostFacts,
    seccomp: Seccomp | None,
    propagation: str,
) -> Linux:
    host = container.wish.host
    nodes, rules = devices.plan(host, facts)
    resources = limits.resources(host)
    resources.devices = rules
    users = remap.wanted(host, facts.mappings)
    return Linux(
        uid_mappings=list(facts.mappings.uids) if users else [],
        gid_mappings=list(facts.mappings.gids) if users else [],
        sysctl=sysctls.plan(host, container.wish.config.domainname, users=users),
        resources=resources,
        cgroups_path=_group(host.cgroup_parent or settings.cgroup_parent, container.id),
        namespaces=namespaces.plan(host, found.shared, users=users, network_path=found.network_path),
        devices=nodes,
        seccomp=seccomp,
        rootfs_propagation=propagation,
        masked_paths=host.masked_paths or [],
        readonly_paths=host.readonly_paths or [],
    )


def extras(container: Container, found: Found, *, reaper: bool) -> Extras:
    """What the container's init resolves in the container's own files."""
    return Extras(
        user=container.wish.config.user,
        groups=tuple(container.wish.host.group_add or ()),
        copy_up=tuple(CopyUp(destination=place, source=source) for place, source in found.fresh),
        reaper=reaper,
    )


def exec_process(
    container: Container, wish: ExecWish, settings: Settings, facts: HostFacts, linked: Sequence[str] = ()
) -> Process:
    """The process of an exec: the container's rights and variables, with its own wishes on top."""
    config, host = container.wish.config, container.wish.host
    options = security.parse(host.security_opt, no_new_privileges=settings.no_new_privileges)
    caps = capabilities.chosen(
        host.cap_add, host.cap_drop, privileged=host.privileged or wish.privileged, known=facts.capabilities
    )
    env = environment.of_container(config.hostname, wish.terminal, [*linked, *(config.env or ())])
    window = wish.window
    return Process(
        cwd=wish.working_dir or config.working_dir or "/",
        args=wish.command,
        env=environment.merge(env, wish.env),
        terminal=wish.terminal,
        console_size=ConsoleSize(height=window[0], width=window[1]) if window else None,
        capabilities=capabilities.sets(caps),
        rlimits=[rlimit(ulimit) for ulimit in host.ulimits or ()],
        no_new_privileges=options.no_new_privileges,
        apparmor_profile="" if options.apparmor == security.UNCONFINED else options.apparmor,
    )


def exec_extras(container: Container, wish: ExecWish) -> Extras:
    """Who an exec runs as: its own user, or the container's."""
    return Extras(
        user=wish.user or container.wish.config.user, groups=tuple(container.wish.host.group_add or ())
    )
