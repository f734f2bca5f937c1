"""From a runtime config to the list of everything that will be done: a pure function.

`plan_init` and `plan_becoming` read the config, refuse what can't be, and put the operations of all subjects
in their order. `str(plan)` is the printed plan, one line a step, which unit tests compare without being root.

The order of an init: join and name namespaces; mount the root; mounts, the control group on the way; devices;
hooks; terminal; what closes things (read-only, masks); the pivot; then what `identity` does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from lodge.errors import InvalidArgument, Unsupported
from lodge.kernel import mount as m
from lodge.kernel import namespaces as ns
from lodge.kernel.cgroups import Cgroup
from lodge.runtime.process.attributes import check_process
from lodge.runtime.process.birth import Birth
from lodge.runtime.process.cgroup_mount import EnterCgroup, plan_cgroup_mount
from lodge.runtime.process.devices import is_bind, plan_devices
from lodge.runtime.process.extras import Extras
from lodge.runtime.process.hooks import check_hooks
from lodge.runtime.process.identity import Becoming, Filter, parse_environment, reduce_rights
from lodge.runtime.process.listener import check_listener
from lodge.runtime.process.masks import plan_masks
from lodge.runtime.process.mounts import BindMount, CopyImageContent, MakeReadOnly, MountFilesystem
from lodge.runtime.process.names import plan_joins, plan_names
from lodge.runtime.process.operation import Operation
from lodge.runtime.process.rootfs import (
    AttachRoot,
    BecomeNamespaceRoot,
    BindRoot,
    MakeDirectory,
    MountRoot,
    MoveRoot,
    Pivot,
    RootReadOnly,
    plan_propagation,
)
from lodge.runtime.process.stages import CreateContainerHooks, RuntimeHooks
from lodge.runtime.process.terminal import OpenTerminal
from lodge.spec.mount import Mount as RootMount
from lodge.spec.runtime import Linux, Mount, Process, RuntimeConfig

# pid and time are given by path to the clone, cgroup is unshared after the group was entered.
_CLONED = ("user", "mount", "pid", "ipc", "uts", "network")


class Plan(Struct, frozen=True):
    """What will be done, in order."""

    birth: Birth
    operations: tuple[Operation, ...]
    becoming: Becoming

    def __str__(self) -> str:
        return "\n".join([str(self.birth), *map(str, self.operations), str(self.becoming)])


class Surroundings(Struct, frozen=True):
    """What a plan needs to know besides the config.

    `root_mounts` make up the root at `place` (a directory of ours); without them the root is the directory
    that the config names, relative to `bundle`. `held` are the keeper's capabilities. `trees` are detached
    mounts by number of the config's mount, made by the keeper where the init could not.
    """

    bundle: str
    place: str
    cgroup: Cgroup | None
    held: int
    root_mounts: tuple[RootMount, ...] = ()
    root_tree: int = -1
    trees: dict[int, int] = {}
    filter: Filter | None = None
    apparmor: bool = False
    dies_with_keeper: bool = True
    preserve: int = 0
    pivot: bool = True


def plan_init(config: RuntimeConfig, extras: Extras, where: Surroundings) -> Plan:
    """The plan of a container's init; InvalidArgument or Unsupported for a config that can't be done."""
    process, linux = _essentials(config)
    paths = _check_namespaces(linux)
    check_hooks(config.hooks)
    check_listener(linux)
    before, after = plan_propagation(linux.rootfs_propagation, _root_place(config, where))
    operations = [*plan_joins(linux), *before, _plan_root(config, where)]
    if paths.get("user") == "":
        operations.append(BecomeNamespaceRoot())
    operations += _plan_copies(config, extras, where)
    operations += _plan_mounts(config, where, paths)
    operations += plan_devices(config)
    operations += _plan_hooks(config)
    if process.terminal:
        operations.append(_plan_terminal(process, console=True))
    operations += plan_names(config, linux)
    operations.append(MakeDirectory(process.cwd))
    operations += _plan_closing(config, linux)
    operations += [Pivot() if where.pivot else MoveRoot(), *after]
    # execCPUAffinity is for execs only (config.md).
    becoming = plan_becoming(msgspec.structs.replace(process, exec_cpu_affinity=None), linux, extras, where)
    return Plan(_plan_birth(linux, paths), tuple(operations), becoming)


def plan_becoming(process: Process, linux: Linux, extras: Extras, where: Surroundings) -> Becoming:
    """What makes a program of a process of this container, init or exec."""
    check_process(process)
    if not process.args or not process.args[0]:
        raise InvalidArgument("process.args must not be empty")
    if not process.cwd.startswith("/"):
        raise InvalidArgument("process.cwd must be an absolute path")
    if any("\0" in arg for arg in process.args):
        raise InvalidArgument("process.args: a null byte can't be passed to a program")
    parse_environment(process.env)
    if process.selinux_label:
        raise Unsupported("process.selinuxLabel: this host has no SELinux")
    profile = process.apparmor_profile
    if profile and not where.apparmor:
        if profile != "unconfined":
            raise Unsupported(f"process.apparmorProfile: this host has no AppArmor to apply {profile!r} with")
        profile = ""
    held = where.held
    in_user_namespace = any(namespace.type == "user" for namespace in linux.namespaces)
    if in_user_namespace:
        held = (1 << 64) - 1
    return Becoming(
        process,
        extras,
        reduce_rights(process.capabilities, held),
        held,
        in_user_namespace,
        where.filter,
        profile,
        where.dies_with_keeper,
        where.preserve,
    )


def exec_flags(linux: Linux) -> int:
    """The namespaces that an exec joins: all that the config names. The others are the host's anyway.

    The pid namespace is joined by the keeper around the clone.
    """
    flags = 0
    for namespace in linux.namespaces:
        if namespace.type != "pid":
            flags |= ns.NAMESPACES[namespace.type][0]
    return flags


def _essentials(config: RuntimeConfig) -> tuple[Process, Linux]:
    if config.process is None:
        raise InvalidArgument("process: a container needs one")
    if config.linux is None:
        raise InvalidArgument("linux: this config is for another platform")
    if config.root is None:
        raise InvalidArgument("root: a container needs one")
    if config.linux.mount_label:
        raise Unsupported("linux.mountLabel: this host has no SELinux")
    if config.linux.intel_rdt is not None:
        raise Unsupported("linux.intelRdt: this host has no resctrl")
    if config.linux.net_devices:
        raise Unsupported("linux.netDevices: moving network devices is not offered")
    return config.process, config.linux


def _check_namespaces(linux: Linux) -> dict[str, str]:
    """Kind to path ("" for a new one)."""
    paths: dict[str, str] = {}
    for namespace in linux.namespaces:
        if namespace.type not in ns.NAMESPACES:
            raise InvalidArgument(f"namespaces: unknown type {namespace.type!r}")
        if namespace.type in paths:
            raise InvalidArgument(f"namespaces: {namespace.type} is given twice")
        if namespace.path and not namespace.path.startswith("/"):
            raise InvalidArgument(f"namespaces: the path {namespace.path!r} must be absolute")
        paths[namespace.type] = namespace.path
    if paths.get("mount") != "":
        raise InvalidArgument("namespaces: a container needs a mount namespace of its own")
    if linux.time_offsets and paths.get("time") != "":
        raise InvalidArgument("timeOffsets: a new time namespace is needed to set them")
    if linux.time_offsets.keys() - {"monotonic", "boottime"}:
        raise InvalidArgument("timeOffsets: only monotonic and boottime can be shifted")
    if paths.get("user") == "" and not (linux.uid_mappings and linux.gid_mappings):
        raise InvalidArgument("namespaces: a new user namespace needs uidMappings and gidMappings")
    if (linux.uid_mappings or linux.gid_mappings) and paths.get("user") != "":
        raise InvalidArgument("uidMappings: a new user namespace is needed for them")
    return paths


def _plan_birth(linux: Linux, paths: dict[str, str]) -> Birth:
    flags = 0
    for kind in _CLONED:
        if paths.get(kind) == "":
            flags |= ns.NAMESPACES[kind][0]
    return Birth(
        flags,
        pid_path=paths.get("pid", ""),
        time_path=paths.get("time", ""),
        new_time=linux.time_offsets if paths.get("time") == "" else None,
        user_path=paths.get("user", ""),
    )


def _plan_root(config: RuntimeConfig, where: Surroundings) -> Operation:
    if where.root_tree >= 0:
        return AttachRoot(where.place, where.root_tree)
    if where.root_mounts:
        return MountRoot(where.place, where.root_mounts)
    return BindRoot(_root_place(config, where))


def _root_place(config: RuntimeConfig, where: Surroundings) -> str:
    """Where in the host's tree the root will be mounted."""
    if where.root_mounts:
        return where.place
    assert config.root is not None
    path = os.path.normpath(os.path.join(where.bundle, config.root.path))
    if path == "/":
        raise InvalidArgument("root.path: the host's own root can't be a container's")
    return path


def _plan_copies(config: RuntimeConfig, extras: Extras, where: Surroundings) -> list[Operation]:
    """Volumes to fill, each through the tree that was prepared for its mount, if there is one."""
    trees = {_absolute(config.mounts[number].destination): tree for number, tree in where.trees.items()}
    return [
        CopyImageContent(copy.destination, copy.source, trees.get(_absolute(copy.destination), -1))
        for copy in extras.copy_up
    ]


def _plan_mounts(config: RuntimeConfig, where: Surroundings, paths: dict[str, str]) -> list[Operation]:
    operations: list[Operation] = []
    private = "cgroup" in paths
    new_cgroup = paths.get("cgroup") == ""
    enter = EnterCgroup(where.cgroup.path if where.cgroup else "(the keeper's)", new_cgroup)
    entered = False
    for number, mount in enumerate(config.mounts):
        if mount.type in ("cgroup", "cgroup2") and not entered and not is_bind(mount):
            operations.append(enter)
            entered = True
        operations.append(_plan_mount(mount, where.cgroup, private, where.trees.get(number, -1)))
    return operations if entered else [*operations, enter]


def _plan_mount(mount: Mount, cgroup: Cgroup | None, private: bool, tree: int) -> Operation:
    options = m.parse_options(mount.options)
    destination = _absolute(mount.destination)
    if is_bind(mount):
        if not mount.source:
            raise InvalidArgument(f"mount at {mount.destination!r}: a bind needs a source")
        if options.data:
            raise InvalidArgument(
                f"mount at {mount.destination!r}: unknown option {options.data!r} for a bind"
            )
        return BindMount(destination, mount.source, options, tree)
    if options.idmap or mount.uid_mappings:
        raise InvalidArgument(f"mount at {mount.destination!r}: only a bind can be idmapped")
    if not mount.type:
        raise InvalidArgument(f"mount at {mount.destination!r}: a type is needed")
    if mount.type == "cgroup" and cgroup is not None:
        return plan_cgroup_mount(mount, options, cgroup, private=private)
    if options.copy_up and mount.type != "tmpfs":
        raise InvalidArgument(f"mount at {mount.destination!r}: tmpcopyup is for a tmpfs")
    if _closed_later(mount):
        options = m.parse_options([word for word in mount.options if word != "ro"])
    return MountFilesystem(destination, mount.type, mount.source or mount.type, options)


def _closed_later(mount: Mount) -> bool:
    """Whether a mount must stay writable until the mount points and nodes in it exist."""
    writable = mount.type == "tmpfs" or os.path.normpath(mount.destination) == "/dev"
    return writable and not is_bind(mount) and bool(m.parse_options(mount.options).flags & m.MS_RDONLY)


def _absolute(path: str) -> str:
    """A destination as one absolute name; the specification takes relative ones as from the root."""
    return "/" + os.path.normpath(f"/{path}").lstrip("/")


def _plan_hooks(config: RuntimeConfig) -> list[Operation]:
    operations: list[Operation] = []
    if config.hooks and (config.hooks.prestart or config.hooks.create_runtime):
        operations.append(RuntimeHooks())
    if config.hooks and config.hooks.create_container:
        operations.append(CreateContainerHooks(tuple(hook.path for hook in config.hooks.create_container)))
    return operations


def _plan_terminal(process: Process, *, console: bool) -> OpenTerminal:
    size = process.console_size
    return OpenTerminal(size.height if size else 0, size.width if size else 0, console)


def _plan_closing(config: RuntimeConfig, linux: Linux) -> list[Operation]:
    operations: list[Operation] = [
        MakeReadOnly(_absolute(mount.destination)) for mount in config.mounts if _closed_later(mount)
    ]
    operations += plan_masks(linux)
    if config.root is not None and config.root.readonly:
        operations.append(RootReadOnly())
    return operations


def plan_exec_terminal(process: Process) -> Sequence[Operation]:
    """What an exec does inside the container before it becomes its program."""
    return (_plan_terminal(process, console=False),) if process.terminal else ()
