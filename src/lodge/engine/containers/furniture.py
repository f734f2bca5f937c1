"""What one start needs beside the row: files for /etc, directories, others' namespaces, an init."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

import msgspec

from lodge.engine import secrets
from lodge.engine.models import Container
from lodge.engine.networks import texts
from lodge.engine.parts import Parts
from lodge.engine.planning import propagation, remap
from lodge.engine.planning.launch import Found
from lodge.engine.planning.mount_wishes import MountWish
from lodge.engine.planning.namespaces import NONE, PRIVATE, SHAREABLE, Shared, joined
from lodge.engine.settings import Settings
from lodge.errors import Conflict, InvalidArgument, NotFound, Unsupported
from lodge.kernel.mount import mountinfo
from lodge.spec.runtime import Mount

_INITS = ("docker-init", "tini-static", "tini", "catatonit")
_RESOLV_CONF = "/etc/resolv.conf"
_HOSTS = "/etc/hosts"


async def find(parts: Parts, container: Container) -> Found:
    """Everything for `planning.launch`; what is missing on the host is made where Docker makes it."""
    host = container.wish.host
    wishes = [await _ready(parts, container, wish) for wish in container.layout]
    return Found(
        mounts=[wish for wish in wishes if wish.type != "image"],
        image_mounts=[m for wish in wishes if wish.type == "image" for m in _image_mount(parts, wish)],
        files=_files(parts, container),
        fresh=[
            (wish.destination, wish.source)
            for wish in wishes
            if wish.type == "volume" and wish.copy and not wish.inherited and not wish.subpath
        ],
        shared=Shared(
            network=_joined_pid(parts, host.network_mode, "network"),
            ipc=_joined_pid(parts, host.ipc_mode, "IPC"),
            pid=_joined_pid(parts, host.pid_mode, "PID"),
        ),
        shm_source=_shm(parts, container),
        host_mqueue=os.path.isdir("/dev/mqueue"),
        linked=texts.linked_variables(parts, container),
        init_path=init_path(parts.settings) if wants_init(container, parts.settings) else "",
    )


async def _ready(parts: Parts, container: Container, wish: MountWish) -> MountWish:
    if wish.type == "bind" and wish.create_source and not os.path.lexists(wish.source):
        try:
            os.makedirs(wish.source, 0o755, exist_ok=True)
        except OSError as error:
            raise InvalidArgument(
                f"error while creating mount source path '{wish.source}': {error.strerror}"
            ) from error
    elif wish.type == "bind" and not os.path.lexists(wish.source):
        raise InvalidArgument(
            f'invalid mount config for type "bind": bind source path does not exist: {wish.source}'
        )
    elif wish.type == "secret":
        return await parts.bridge.call(secrets.show, parts, container, wish)
    elif wish.type == "volume":
        return await parts.bridge.call(_volume, parts, wish)
    if propagation.needs_check(wish):
        propagation.check(os.path.realpath(wish.source), wish.propagation, mountinfo())
    return wish


def _volume(parts: Parts, wish: MountWish) -> MountWish:
    try:
        mount = parts.volumes.mount(wish.name, wish.subpath)
    except NotFound:
        # Removed by force meanwhile: Docker makes it anew.
        parts.volumes.create(wish.name, driver=wish.driver or "local", options=wish.driver_options)
        mount = parts.volumes.mount(wish.name, wish.subpath)
    if mount.type in ("bind", ""):
        return msgspec.structs.replace(wish, source=mount.source)
    return msgspec.structs.replace(wish, source=mount.source, mount=mount)


def _image_mount(parts: Parts, wish: MountWish) -> list[Mount]:
    found = parts.images.find(wish.name, None)
    if wish.subpath:
        raise Unsupported("a subpath of an image mount is not supported yet")
    layers = parts.store.snapshots.view_mounts(found.chain_id)
    return [
        Mount(
            destination=wish.destination, type=layer.type, source=layer.source, options=[*layer.options, "ro"]
        )
        for layer in layers
    ]


def _joined_pid(parts: Parts, mode: str, what: str) -> int:
    name = joined(mode)
    if not name:
        return 0
    other = parts.census.find(name).container
    if not other.state.pid:
        if what == "network":
            raise Conflict(
                "cannot join network namespace of a non running container: "
                f"container {other.name} is {other.state.status}"
            )
        raise Conflict(f"failed to join {what} namespace: container {other.id} is not running")
    if other.state.status == "restarting":
        raise Conflict(f"Container {other.id} is restarting, wait until the container is running")
    if what == "IPC" and other.wish.host.ipc_mode in (PRIVATE, NONE):
        raise Conflict(
            f"failed to join IPC namespace: container {other.id}: non-shareable IPC "
            "(hint: use IpcMode:shareable for the donor container)"
        )
    return other.state.pid


def _shm(parts: Parts, container: Container) -> str:
    """A directory for /dev/shm that several containers share; "" for the usual one of its own."""
    mode = container.wish.host.ipc_mode
    if other := joined(mode):
        return os.path.join(parts.directory(other), "shm")
    if mode != SHAREABLE:
        return ""
    path = os.path.join(parts.directory(container.id), "shm")
    with suppress(FileExistsError):
        os.mkdir(path)
        os.chmod(path, 0o1777)
    return path


def _files(parts: Parts, container: Container) -> list[tuple[str, str]]:
    other = joined(container.wish.host.network_mode)
    if other:
        owner = parts.census.find(other).container
        shared = [(_RESOLV_CONF, owner.resolv_conf_path), (_HOSTS, owner.hosts_path)]
        return [(place, path) for place, path in shared if path]
    texts.write_all(parts, container)
    if remap.wanted(container.wish.host, parts.facts.mappings):
        for path in (container.resolv_conf_path, container.hostname_path, container.hosts_path):
            os.chown(path, *parts.facts.mappings.root)
    return [
        (_RESOLV_CONF, container.resolv_conf_path),
        ("/etc/hostname", container.hostname_path),
        (_HOSTS, container.hosts_path),
    ]


def wants_init(container: Container, settings: Settings) -> bool:
    """Whether --init is on and the container has a process 1 of its own."""
    host = container.wish.host
    wanted = settings.init if host.init is None else host.init
    return wanted and host.pid_mode in ("", PRIVATE)


def init_path(settings: Settings) -> str:
    """The host's init program; "" when there is none. InvalidArgument when a configured one is missing."""
    if settings.init_path:
        if not os.access(settings.init_path, os.X_OK):
            raise InvalidArgument(f"the init program {settings.init_path} can't be executed")
        return settings.init_path
    for name in _INITS:
        if path := shutil.which(
            name, path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/libexec/docker:/usr/libexec/podman"
        ):
            return path
    return ""
