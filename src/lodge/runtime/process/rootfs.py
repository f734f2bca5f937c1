"""The root of a container: where it comes from, how it becomes "/", what it is in the end.

The host's mount table never changes: everything happens in the mount namespace that the init was born in,
whose mounts stop answering to the host's before the first of ours is made.
"""

from __future__ import annotations

import os

from lodge.errors import InvalidArgument
from lodge.kernel import mount as m
from lodge.kernel import overlay, paths
from lodge.runtime.process.birth import become_namespace_root
from lodge.runtime.process.operation import Operation, Site
from lodge.spec.mount import Mount

PROPAGATION = {
    "private": m.MS_PRIVATE,
    "rprivate": m.MS_PRIVATE | m.MS_REC,
    "shared": m.MS_SHARED,
    "rshared": m.MS_SHARED | m.MS_REC,
    "slave": m.MS_SLAVE,
    "rslave": m.MS_SLAVE | m.MS_REC,
    "unbindable": m.MS_UNBINDABLE,
    "runbindable": m.MS_UNBINDABLE | m.MS_REC,
}
_WORDS = {number: word for word, number in PROPAGATION.items()}


class Propagate(Operation, frozen=True):
    """Say how the mounts of the new namespace answer to those of the host."""

    flags: int

    def __str__(self) -> str:
        return f"propagation of / := {_WORDS[self.flags]}"

    def perform(self, _site: Site) -> None:
        """First of all, so that nothing that follows reaches the host."""
        m.mount(None, "/", None, self.flags)


class MountRoot(Operation, frozen=True):
    """Perform the mounts that make up the root, each on top of the one before."""

    place: str
    mounts: tuple[Mount, ...]

    def __str__(self) -> str:
        return "\n".join(
            f"root: mount -t {root.type} {root.source} {self.place} ({','.join(root.options)})"
            for root in self.mounts
        )

    def perform(self, site: Site) -> None:
        """The mounts are the store's and `place` is ours: nothing here comes from an image."""
        for root in self.mounts:
            mount_at(root, self.place)
        _open_root(site, self.place)


class DetachParent(Operation, frozen=True):
    """Make the mount that holds the root's place private, where the new namespace shares its mounts.

    pivot_root(2) would refuse, and the mounts of the root would reach the host.
    """

    path: str

    def __str__(self) -> str:
        return f"propagation around {self.path} := private"

    def perform(self, _site: Site) -> None:
        """EINVAL says that a name is not a mount point: the mount is further up."""
        path = self.path
        while True:
            try:
                m.mount(None, path, None, m.MS_PRIVATE)
            except OSError:
                if path == "/":
                    raise
                path = os.path.dirname(path)
            else:
                return


class BindRoot(Operation, frozen=True):
    """Take a directory of the host as the root; it becomes a mount, as pivot_root(2) demands."""

    path: str

    def __str__(self) -> str:
        return f"root: bind {self.path}"

    def perform(self, site: Site) -> None:
        """A bind of itself."""
        m.mount(self.path, self.path, None, m.MS_BIND | m.MS_REC)
        _open_root(site, self.path)


class AttachRoot(Operation, frozen=True):
    """Take a detached mount that the keeper prepared, for a container with a user namespace of its own."""

    place: str
    tree: int

    def __str__(self) -> str:
        return f"root: attach the prepared mounts at {self.place}"

    def perform(self, site: Site) -> None:
        """The init could not make these mounts: in its user namespace it has no right to their files."""
        m.move_mount(self.tree, "", m.AT_FDCWD, self.place, m.MOVE_MOUNT_F_EMPTY_PATH)
        _open_root(site, self.place)


class BecomeNamespaceRoot(Operation, frozen=True):
    """Be root of the new user namespace, now that the last file of the host has been reached."""

    def __str__(self) -> str:
        return "become root of the user namespace"

    def perform(self, _site: Site) -> None:
        """Until here it was the host's root without its rights: owner of the engine's directories."""
        become_namespace_root()


class Pivot(Operation, frozen=True):
    """Make the root "/", and let go of the host's tree."""

    def __str__(self) -> str:
        return "pivot_root"

    def perform(self, site: Site) -> None:
        """pivot_root(".", "."): the old root is stacked on the new one, then taken off."""
        # SAFETY: in the init's own mount namespace, whose mounts stopped answering to the host's (Propagate).
        oldroot = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fchdir(site.rootfd)
            m.pivot_root(".", ".")
            os.fchdir(oldroot)
            # Our unmount must not reach the host (rslave: and not hold on to mounts that the host lets go
            # of).
            m.mount(None, ".", None, m.MS_SLAVE | m.MS_REC)
            m.umount2(".", m.MNT_DETACH)
        finally:
            os.close(oldroot)
        os.chdir("/")
        site.root_path = "/"


class MoveRoot(Operation, frozen=True):
    """Make the root "/" where pivot_root can't work: on a ramdisk (--no-pivot)."""

    def __str__(self) -> str:
        return "move the root onto / and chroot"

    def perform(self, site: Site) -> None:
        """Full /proc and /sys of the host stay reachable below in this mode: take them off first."""
        root = site.root_path
        for entry in reversed(m.mountinfo(None)):
            point = entry.mount_point
            if entry.root == "/" and entry.fstype in ("proc", "sysfs") and not point.startswith(f"{root}/"):
                m.mount(None, point, None, m.MS_SLAVE | m.MS_REC)
                m.umount2(point, m.MNT_DETACH)
        os.fchdir(site.rootfd)
        m.mount(root, "/", None, m.MS_MOVE)
        # SAFETY: the working directory is the new root, so nothing outside of it stays reachable by "..".
        os.chroot(".")
        os.chdir("/")
        site.root_path = "/"


class RootPropagation(Operation, frozen=True):
    """Share the root again, when that was asked for."""

    flags: int

    def __str__(self) -> str:
        return f"propagation of the root := {_WORDS[self.flags]}"

    def perform(self, _site: Site) -> None:
        """After the pivot, so that the host's namespace is out of reach."""
        m.mount(None, "/", None, self.flags)


class RootReadOnly(Operation, frozen=True):
    """Let nobody write to the root; mounts below it keep their own ways."""

    def __str__(self) -> str:
        return "root: read-only"

    def perform(self, site: Site) -> None:
        """The mount, not the file system, and not recursive."""
        m.mount_setattr(site.rootfd, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_RDONLY)


class MakeDirectory(Operation, frozen=True):
    """Make a directory inside the root when it is missing: the program's working directory."""

    path: str

    def __str__(self) -> str:
        return f"mkdir -p {self.path}"

    def perform(self, site: Site) -> None:
        """Links are followed inside the root only (CVE-2026-55686)."""
        try:
            os.close(paths.open_in_root(site.rootfd, self.path, os.O_PATH | os.O_DIRECTORY))
        except FileNotFoundError:
            os.close(paths.make_directories_in_root(site.rootfd, self.path))


def plan_propagation(word: str, place: str) -> tuple[list[Operation], list[Operation]]:
    """(before the root is mounted at `place`, after the pivot) for `rootfsPropagation`; rslave by default."""
    if word and word not in PROPAGATION:
        raise InvalidArgument(f"rootfsPropagation: unknown propagation {word!r}")
    flags = PROPAGATION[word or "rslave"]
    if flags & (m.MS_PRIVATE | m.MS_SLAVE):
        return [Propagate(flags)], []
    return [Propagate(flags), DetachParent(place)], [RootPropagation(flags)]


def mount_at(root: Mount, place: str) -> None:
    """Perform one mount of the store at a place of ours."""
    options = m.parse_options(root.options)
    bind = options.flags & m.MS_BIND or root.type == "bind"
    flags = options.flags | (m.MS_BIND if bind else 0)
    if root.type == "overlay":
        # Of an image with many layers the options are longer than mount(2) takes.
        overlay.mount_data(place, options.data, flags)
    else:
        m.mount(
            root.source, place, None if bind else root.type, flags, None if bind else options.data or None
        )
    if bind and options.flags & ~(m.MS_BIND | m.MS_REC):
        m.mount(None, place, None, options.flags | m.MS_BIND | m.MS_REMOUNT)
    for propagation in options.propagation:
        m.mount(None, place, None, propagation)


def _open_root(site: Site, path: str) -> None:
    site.rootfd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    site.root_path = os.readlink(paths.fd_path(site.rootfd))
