"""The mounts of a container, in the order in which the runtime performs them.

Docker's own (/proc, /dev, ...), changed by what the wish covers; then the wishes, the shallow first; then the
engine's files for /etc. Pure: directories of volumes are known by now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from lodge.engine.planning.defaults import MOUNTS
from lodge.engine.planning.mount_wishes import MountWish
from lodge.engine.planning.namespaces import IPC_NONE
from lodge.spec import mount as spec
from lodge.spec.container import HostConfig
from lodge.spec.runtime import Mount

_TMPFS_DEFAULTS = ("noexec", "nosuid", "nodev", "rprivate")
_OPPOSITES = {
    "exec": "noexec",
    "suid": "nosuid",
    "dev": "nodev",
    "rw": "ro",
    "atime": "noatime",
    "diratime": "nodiratime",
    "async": "sync",
}
_OPPOSITES |= {no: yes for yes, no in _OPPOSITES.items()}
_STAYS_WRITABLE = ("/proc", "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev")


def plan(
    host: HostConfig,
    wishes: Sequence[MountWish],
    *,
    files: Iterable[tuple[str, str]],
    writable_cgroups: bool,
    host_ipc: bool,
    shm_source: str = "",
    host_mqueue: bool = True,
) -> tuple[list[Mount], str]:
    """The mounts, and the propagation of the root that they need ("" for the default).

    `files` are (destination, source) pairs of the engine's own; `shm_source` is another container's /dev/shm;
    `host_mqueue` says whether the host has its message queues at /dev/mqueue.
    """
    covered = {wish.destination for wish in wishes}
    mounts = [m for m in map(_copy, MOUNTS) if not _covered(m.destination, covered)]
    _adapt(
        mounts,
        host,
        writable_cgroups=writable_cgroups,
        host_ipc=host_ipc,
        # Mounted anew in the host's IPC namespace it shows the host's queues as well.
        host_mqueue=host_ipc and host_mqueue,
        shm_source=shm_source,
    )
    shallow_first = sorted(wishes, key=lambda w: (w.destination.count("/"), w.destination))
    mounts += [of_wish(wish) for wish in shallow_first]
    etc = [(place, source) for place, source in files if place not in covered]
    read_only = ["ro"] if host.readonly_rootfs else []
    mounts += [
        Mount(destination=place, type="bind", source=source, options=["rbind", "rprivate", *read_only])
        for place, source in etc
    ]
    return mounts, root_propagation(wishes)


def _copy(mount: Mount) -> Mount:
    return msgspec.structs.replace(mount, options=list(mount.options))


def _covered(destination: str, covered: set[str]) -> bool:
    return destination in covered or (destination.startswith("/dev/") and "/dev" in covered)


def _adapt(
    mounts: list[Mount],
    host: HostConfig,
    *,
    writable_cgroups: bool,
    host_ipc: bool,
    host_mqueue: bool,
    shm_source: str,
) -> None:
    for mount in list(mounts):
        match mount.destination:
            case "/dev/shm" if host.ipc_mode == IPC_NONE:
                mounts.remove(mount)
            case "/dev/shm" if shm_source:
                _become_bind(mount, shm_source)
            case "/dev/shm" if host_ipc:
                _become_bind(mount, "/dev/shm")
            case "/dev/shm":
                mount.options.append(f"size={host.shm_size}")
            case "/dev/mqueue" if host_mqueue:
                _become_bind(mount, "/dev/mqueue")
            case "/sys" if host.privileged:
                mount.options.remove("ro")
            case "/sys/fs/cgroup" if writable_cgroups:
                mount.options.remove("ro")
            case _:
                pass


def _become_bind(mount: Mount, source: str) -> None:
    mount.type, mount.source = "bind", source
    mount.options = ["rbind", "nosuid", "noexec", "nodev"]


def of_wish(wish: MountWish) -> Mount:
    """One mount of the wish."""
    if wish.type == "tmpfs":
        return Mount(destination=wish.destination, type="tmpfs", source="tmpfs", options=_tmpfs_options(wish))
    if wish.mount is not None:
        return _of_volume(wish, wish.mount)
    options = ["rbind" if wish.recursive else "bind"]
    if wish.read_only:
        options.append("ro" if wish.read_only_recursive is False or not wish.recursive else "rro")
    options.append(wish.propagation or "rprivate")
    return Mount(destination=wish.destination, type="bind", source=wish.source, options=options)


def _of_volume(wish: MountWish, mount: spec.Mount) -> Mount:
    options = [*mount.options, *(["ro"] if wish.read_only else [])]
    return Mount(destination=wish.destination, type=mount.type, source=mount.source, options=options)


def _tmpfs_options(wish: MountWish) -> list[str]:
    merged: dict[str, None] = dict.fromkeys(_TMPFS_DEFAULTS)
    for word in (*wish.tmpfs_options, *(["ro"] if wish.read_only else [])):
        merged.pop(_OPPOSITES.get(word, ""), None)
        key = word.partition("=")[0]
        for old in [o for o in merged if "=" in o and o.partition("=")[0] == key]:
            del merged[old]
        merged[word] = None
    return list(merged)


def root_propagation(wishes: Iterable[MountWish]) -> str:
    """What the root must be so that mounts get through where a wish says so."""
    asked = {wish.propagation for wish in wishes}
    if asked & {"shared", "rshared"}:
        return "shared"
    if asked & {"slave", "rslave"}:
        return "rslave"
    return ""
