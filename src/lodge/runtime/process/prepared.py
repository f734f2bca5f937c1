"""Detached mounts that the keeper makes for an init in a user namespace, and for idmapped mounts.

An init in a user namespace has no right to the host's files, nor to map their owners; its keeper has. So the
keeper copies the sources of binds as detached trees, gives them the namespace's view of owners where that is
asked for, and builds the root the same way: the layers of an overlay are idmapped (Linux 5.19), so images and
upper directories keep the owners that they have everywhere else, and no file is ever chowned.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress

from lodge.errors import InvalidArgument, Unsupported
from lodge.kernel import capabilities
from lodge.kernel import mount as m
from lodge.kernel import namespaces as ns
from lodge.kernel.process import set_keepcaps, setresgid, setresuid
from lodge.runtime.process.devices import is_bind
from lodge.runtime.process.handshake import Channel, TreeMade, failed
from lodge.runtime.process.operation import refusal
from lodge.runtime.process.rootfs import mount_at
from lodge.spec.mount import Mount as RootMount
from lodge.spec.runtime import IdMapping, Linux, Mount, RuntimeConfig

_CLONE = m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC


def is_remapped(linux: Linux) -> bool:
    """Whether the container is in another user namespace than the host."""
    return any(namespace.type == "user" for namespace in linux.namespaces)


def prepare_trees(config: RuntimeConfig, linux: Linux) -> dict[int, int]:
    """Detached trees by the number of the config's mount, for those that the init can't make itself.

    The caller closes them after the clone. StartFailed names the mount.
    """
    trees: dict[int, int] = {}
    try:
        for number, mount in enumerate(config.mounts):
            if not is_bind(mount):
                continue
            idmap = m.parse_options(mount.options).idmap or ("idmap" if mount.uid_mappings else "")
            if idmap or is_remapped(linux):
                trees[number] = _prepare(mount, linux, idmap)
    except BaseException:
        close_all(trees.values())
        raise
    return trees


def prepare_root(mounts: Sequence[RootMount], place: str, linux: Linux) -> int:
    """The root as one detached tree with owners as the container's user namespace has them."""
    space = open_user_namespace(linux.uid_mappings, linux.gid_mappings)
    ours, theirs = Channel.pair()
    try:
        # SAFETY: a single-threaded caller; the child only mounts, in a mount namespace that ends with it.
        pid, pidfd = ns.clone3(ns.CLONE_NEWNS)
        if pid == 0:
            ours.close()
            _build_root(mounts, place, space, host_root(linux), theirs)
        theirs.close()
        os.close(pidfd)
        try:
            _, tree = ours.expect_any(TreeMade)
        finally:
            os.waitpid(pid, 0)
        return tree
    finally:
        os.close(space)
        theirs.close()
        ours.close()


def open_user_namespace(uid_map: Sequence[IdMapping], gid_map: Sequence[IdMapping]) -> int:
    """A user namespace of these maps that no process lives in, by its file."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    # SAFETY: a single-threaded caller; the child waits for the end of the pipe and does nothing else.
    pid, pidfd = ns.clone3(ns.CLONE_NEWUSER)
    if pid == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    try:
        ns.write_id_maps(pid, uid_map, gid_map)
        return ns.open_namespace(pid, "user")
    finally:
        os.close(reader)
        os.close(writer)
        os.close(pidfd)
        os.waitpid(pid, 0)


def host_root(linux: Linux) -> tuple[int, int] | None:
    """(uid, gid) on the host of the container's root, None when that is the host's root or unknown here."""
    if not (linux.uid_mappings and linux.gid_mappings):
        return None
    uid = next((entry.host_id for entry in linux.uid_mappings if entry.container_id == 0), None)
    gid = next((entry.host_id for entry in linux.gid_mappings if entry.container_id == 0), None)
    return None if uid is None or gid is None else (uid, gid)


def close_all(fds: Iterable[int]) -> None:
    """Close each."""
    for fd in fds:
        os.close(fd)


def _prepare(mount: Mount, linux: Linux, idmap: str) -> int:
    options = m.parse_options(mount.options)
    recursive = m.AT_RECURSIVE if options.flags & m.MS_REC else 0
    try:
        tree = m.open_tree(m.AT_FDCWD, mount.source, _CLONE | recursive)
    except OSError as error:
        raise refusal(f'error mounting "{mount.source}" to rootfs at "{mount.destination}"', error) from None
    if not idmap:
        return tree
    try:
        space = _mapping_of(mount, linux)
        try:
            _idmap(tree, space, recursive=idmap == "ridmap")
        finally:
            os.close(space)
    except OSError as error:
        os.close(tree)
        raise Unsupported(
            f"mount at {mount.destination!r}: {mount.source} can't be idmapped: {error.strerror}",
            hint="its file system must support idmapped mounts",
        ) from None
    except BaseException:
        os.close(tree)
        raise
    return tree


def _mapping_of(mount: Mount, linux: Linux) -> int:
    """The mount's own mappings, or the container's."""
    uid_map = mount.uid_mappings or linux.uid_mappings
    gid_map = mount.gid_mappings or linux.gid_mappings
    if not (uid_map and gid_map):
        raise InvalidArgument(f"mount at {mount.destination!r}: idmap needs uidMappings and gidMappings")
    return open_user_namespace(uid_map, gid_map)


def _idmap(tree: int, space: int, *, recursive: bool) -> None:
    flags = m.AT_EMPTY_PATH | (m.AT_RECURSIVE if recursive else 0)
    m.mount_setattr(tree, "", flags, m.MOUNT_ATTR_IDMAP, userns_fd=space)


def _build_root(
    mounts: Sequence[RootMount], place: str, space: int, owner: tuple[int, int] | None, channel: Channel
) -> None:
    """In a child with a mount namespace of its own: mount, copy, send, end."""
    # SAFETY: a forked child must never return into its parent's frames.
    try:
        m.mount(None, "/", None, m.MS_PRIVATE | m.MS_REC)
        m.mount("tmpfs", place, "tmpfs", 0, "mode=700")
        workshop = _Workshop(place, space)
        os.mkdir(workshop.root)
        shifted = [workshop.shifted(mount) for mount in mounts]
        if owner is None:
            raise InvalidArgument("uidMappings: the container's root (0) must be mapped")
        _mount_as(*owner)
        for mount in shifted:
            mount_at(mount, workshop.root)
        tree = m.open_tree(m.AT_FDCWD, workshop.root, _CLONE | m.AT_RECURSIVE)
        channel.send(TreeMade(), tree)
    except BaseException as error:
        with suppress(OSError):
            os.write(channel.fileno(), failed(error))
    finally:
        os._exit(0)


def _mount_as(uid: int, gid: int) -> None:
    """Take the ids of the container's root, keep all rights.

    An overlay acts on its layers as who mounted it, and the host's root has no place in an idmapped layer
    (EOVERFLOW).
    """
    # SAFETY: in a child that ends right after the mount.
    held = capabilities.current().permitted
    set_keepcaps(True)
    setresgid(gid, gid, gid)
    setresuid(uid, uid, uid)
    capabilities.set_capabilities(held, held, 0)


class _Workshop:
    """A tmpfs in which the layers get mount points, idmapped, and the root is put together."""

    def __init__(self, place: str, space: int) -> None:
        self.root = f"{place}/root"
        self._place = place
        self._space = space
        self._count = 0

    def shifted(self, mount: RootMount) -> RootMount:
        """The same mount over idmapped copies of its layers."""
        if mount.type != "overlay":
            copy = self._copy(mount.source)
            return RootMount(mount.type, copy, mount.options)
        return RootMount(mount.type, mount.source, tuple(self._shift_options(mount.options)))

    def _shift_options(self, options: Sequence[str]) -> list[str]:
        named = dict(option.partition("=")[::2] for option in options if "=" in option)
        shared = os.path.commonpath([named["upperdir"], named["workdir"]]) if "upperdir" in named else ""
        # The upper and the work directory must be on one mount.
        copy = self._copy(shared) if shared else ""
        shifted = []
        for option in options:
            name, _, value = option.partition("=")
            if name in ("upperdir", "workdir"):
                value = copy + value[len(shared) :]
            elif name in ("lowerdir", "lowerdir+"):
                value = ":".join(self._copy(layer.replace("\\", "")) for layer in layers(value))
            shifted.append(f"{name}={value}" if "=" in option else option)
        return shifted

    def _copy(self, source: str) -> str:
        tree = m.open_tree(m.AT_FDCWD, source, _CLONE)
        _idmap(tree, self._space, recursive=False)
        point = f"{self._place}/{self._count}"
        self._count += 1
        os.mkdir(point)
        m.move_mount(tree, "", m.AT_FDCWD, point, m.MOVE_MOUNT_F_EMPTY_PATH)
        os.close(tree)
        return point


def layers(value: str) -> list[str]:
    """Split at colons that no backslash escapes."""
    parts = [""]
    escaped = False
    for character in value:
        if character == ":" and not escaped:
            parts.append("")
            continue
        parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts
