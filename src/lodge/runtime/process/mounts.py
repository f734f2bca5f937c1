"""The mounts of a config: file systems and binds, in the order listed, onto names inside the root.

A target is resolved inside the root and pinned by a descriptor before anything is mounted on it
(CVE-2026-42306, CVE-2025-52881): a bind arrives as a detached tree by move_mount(2), a file system by
mount(2) on the descriptor's own name. /proc of the host is trusted here: all this happens before the pivot.
"""

from __future__ import annotations

import errno
import os
import stat

from lodge.errors import InvalidArgument, StartFailed
from lodge.kernel import mount as m
from lodge.kernel import paths, procfs
from lodge.runtime.process.copy_up import copy_tree, is_empty
from lodge.runtime.process.operation import Operation, Site, refusal

# What may cover a file of the container's procfs (lxcfs and its like); everything else would be a trap for
# whoever trusts /proc.
_PROC_FILES = frozenset(
    f"/proc/{name}"
    for name in (
        "cpuinfo",
        "diskstats",
        "loadavg",
        "meminfo",
        "net/dev",
        "slabinfo",
        "stat",
        "swaps",
        "sys/crypto/fips_enabled",
        "sys/kernel/ns_last_pid",
        "uptime",
    )
)

_WRONG_KIND = (
    "Are you trying to mount a directory onto a file (or vice-versa)?"
    " Check if the specified host path exists and is the expected type"
)

# mount(2)'s flag: mount_setattr(2)'s attribute
_ATTRIBUTES = {
    m.MS_RDONLY: m.MOUNT_ATTR_RDONLY,
    m.MS_NOSUID: m.MOUNT_ATTR_NOSUID,
    m.MS_NODEV: m.MOUNT_ATTR_NODEV,
    m.MS_NOEXEC: m.MOUNT_ATTR_NOEXEC,
    m.MS_NOSYMFOLLOW: m.MOUNT_ATTR_NOSYMFOLLOW,
    m.MS_NODIRATIME: m.MOUNT_ATTR_NODIRATIME,
}
_ATIME = {
    m.MS_NOATIME: m.MOUNT_ATTR_NOATIME,
    m.MS_RELATIME: m.MOUNT_ATTR_RELATIME,
    m.MS_STRICTATIME: m.MOUNT_ATTR_STRICTATIME,
}
_ONTO = m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_EMPTY_PATH


class MountFilesystem(Operation, frozen=True):
    """Mount a file system of a type (proc, tmpfs, sysfs, devpts, mqueue, cgroup2, ext4, ...)."""

    destination: str
    type: str
    source: str
    options: m.MountOptions

    def __str__(self) -> str:
        return f"mount -t {self.type} {self.source} {self.destination}{_describe(self.options)}"

    def perform(self, site: Site) -> None:
        """A tmpfs takes the mode of the directory that it covers, when the config says none.

        The kernel's default (1777) stays when there was no directory.
        """
        data = self._data(site)
        target = mount_point_of(site, self.destination, self.type)
        try:
            place = paths.fd_path(target)
            if self.options.copy_up:
                self._mount_filled(site, target, data)
            else:
                self._mount(place, data)
            propagate(site, self.destination, self.options.propagation)
        except OSError as error:
            raise _refused(self, error) from None
        finally:
            os.close(target)

    def _data(self, site: Site) -> str:
        data = self.options.data
        if self.type != "tmpfs" or "mode=" in data:
            return data
        try:
            covered = paths.open_in_root(site.rootfd, self.destination, os.O_PATH | os.O_DIRECTORY)
        except OSError:
            # Nothing is there yet; what else is wrong, the making of the mount point will say.
            return data
        mode = f"mode={stat.S_IMODE(os.fstat(covered).st_mode):04o}"
        os.close(covered)
        return f"{mode},{data}" if data else mode

    def _mount(self, place: str, data: str) -> None:
        m.mount(self.source or self.type, place, self.type, self.options.flags, data or None)

    def _mount_filled(self, site: Site, target: int, data: str) -> None:
        """Mount, then copy what was covered into it (tmpcopyup): the old descriptor still sees it."""
        covered = os.open(paths.fd_path(target), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._mount(paths.fd_path(target), data)
            fresh = paths.open_in_root(site.rootfd, self.destination, os.O_RDONLY | os.O_DIRECTORY)
            try:
                copy_tree(covered, fresh)
            finally:
                os.close(fresh)
        finally:
            os.close(covered)


class BindMount(Operation, frozen=True):
    """Show a file or directory of the host; `prepared` is a detached tree made by the keeper, or -1."""

    destination: str
    source: str
    options: m.MountOptions
    prepared: int = -1

    def __str__(self) -> str:
        verb = "rbind" if self.options.flags & m.MS_REC else "bind"
        prepared = " (prepared)" if self.prepared >= 0 else ""
        return f"{verb} {self.source}{prepared} {self.destination}{_describe(self.options)}"

    def perform(self, site: Site) -> None:
        """Everything is set on the detached tree, so no moment exists in which it is writable by mistake."""
        site.forget_directories()
        try:
            tree = open_source(self) if self.prepared < 0 else self.prepared
        except OSError as error:
            raise _refused(self, error) from None
        try:
            set_attributes(tree, self.options)
            target = self._target(site, tree)
            try:
                m.move_mount(tree, "", target, "", _ONTO)
            finally:
                os.close(target)
        except OSError as error:
            raise _refused(self, error) from None
        finally:
            os.close(tree)

    def _target(self, site: Site, tree: int) -> int:
        if stat.S_ISDIR(os.fstat(tree).st_mode):
            target = site.mount_point(self.destination)
        else:
            target = paths.create_file_in_root(site.rootfd, self.destination)
            if stat.S_ISDIR(os.fstat(target).st_mode):
                # move_mount(2) would only say EINVAL.
                os.close(target)
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return _checked_target(site, target, self.destination, whole_proc=procfs.is_procfs(tree))


class MakeReadOnly(Operation, frozen=True):
    """Close a file system for writing that had to stay open until all mount points in it were made."""

    destination: str

    def __str__(self) -> str:
        return f"read-only: {self.destination}"

    def perform(self, site: Site) -> None:
        """The mount on top of the name, alone."""
        target = paths.open_in_root(site.rootfd, self.destination, os.O_PATH)
        try:
            m.mount_setattr(target, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_RDONLY)
        finally:
            os.close(target)


class CopyImageContent(Operation, frozen=True):
    """Fill an empty volume with what the image has at its destination, owner and mode of the top included.

    `prepared` is the volume as a detached tree, -1 when it is opened by its name on the host.
    """

    destination: str
    source: str
    prepared: int = -1

    def __str__(self) -> str:
        return f"copy up {self.destination} into {self.source} if that is empty"

    def perform(self, site: Site) -> None:
        """The volume's directory is the engine's own; the image's is resolved inside the root."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            covered = paths.open_in_root(site.rootfd, self.destination, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            if self.prepared >= 0:
                # Through the tree's own mapping of owners: its files are written as the container sees them.
                volume = os.open(paths.fd_path(self.prepared), flags)
            else:
                volume = os.open(self.source, flags | os.O_NOFOLLOW)
            try:
                if is_empty(volume):
                    copy_tree(covered, volume)
            finally:
                os.close(volume)
        finally:
            os.close(covered)


def mount_point_of(site: Site, destination: str, type: str) -> int:
    """Where a file system of a type may be mounted, pinned; the caller closes it."""
    site.forget_directories()
    if type in ("proc", "sysfs"):
        # These must be where they are expected, or later trust in them is misplaced (CVE-2025-52881).
        _forbid_link(site, destination)
    target = site.mount_point(destination)
    return _checked_target(site, target, destination, whole_proc=type == "proc")


def open_source(bind: BindMount) -> int:
    """A detached copy of a bind's source."""
    recursive = m.AT_RECURSIVE if bind.options.flags & m.MS_REC else 0
    return m.open_tree(m.AT_FDCWD, bind.source, m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC | recursive)


def set_attributes(tree: int, options: m.MountOptions) -> None:
    """Give a detached tree what its options say: the top mount, then the tree, then propagation."""
    attr_set, attr_clr = _attributes(options)
    if attr_set or attr_clr:
        m.mount_setattr(tree, "", m.AT_EMPTY_PATH, attr_set, attr_clr)
    if options.attr_set or options.attr_clr:
        m.mount_setattr(tree, "", m.AT_EMPTY_PATH | m.AT_RECURSIVE, options.attr_set, options.attr_clr)
    for propagation in options.propagation:
        recursive = m.AT_RECURSIVE if propagation & m.MS_REC else 0
        m.mount_setattr(tree, "", m.AT_EMPTY_PATH | recursive, propagation=propagation & ~m.MS_REC)


def propagate(site: Site, destination: str, propagation: tuple[int, ...]) -> None:
    """Set the propagation of the mount that is on top of a name."""
    if not propagation:
        return
    top = paths.open_in_root(site.rootfd, destination, os.O_PATH)
    try:
        for flags in propagation:
            recursive = m.AT_RECURSIVE if flags & m.MS_REC else 0
            m.mount_setattr(top, "", m.AT_EMPTY_PATH | recursive, propagation=flags & ~m.MS_REC)
    finally:
        os.close(top)


def _attributes(options: m.MountOptions) -> tuple[int, int]:
    """(set, clear) of mount_setattr(2) for mount(2)'s flags on a bind; what no word names stays as it is."""
    attr_set = attr_clr = 0
    for flag, attribute in _ATTRIBUTES.items():
        if options.flags & flag:
            attr_set |= attribute
        elif options.cleared & flag:
            attr_clr |= attribute
    for flag, attribute in _ATIME.items():
        if options.flags & flag:
            attr_set |= attribute
            attr_clr |= m.MOUNT_ATTR__ATIME
    return attr_set, attr_clr


def _checked_target(site: Site, target: int, destination: str, *, whole_proc: bool) -> int:
    """Refuse targets that would undermine the container: its root, and files of its procfs."""
    place = site.place_of(target)
    if place == "/":
        os.close(target)
        raise InvalidArgument(f"mount on {destination!r}: it leads to the root of the container")
    fake = place == "/proc" and not whole_proc
    if fake or (place.startswith("/proc/") and place not in _PROC_FILES):
        os.close(target)
        raise InvalidArgument(f"mount on {destination!r}: {place} would be a procfs that can't be trusted")
    return target


def _forbid_link(site: Site, destination: str) -> None:
    try:
        fd = paths.open_in_root(site.rootfd, destination, os.O_PATH | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    mode = os.fstat(fd).st_mode
    os.close(fd)
    if not stat.S_ISDIR(mode):
        raise StartFailed(f"mount on {destination!r}: it must be an ordinary directory in the image")


def _describe(options: m.MountOptions) -> str:
    """The options as words, for the printed plan."""
    words = [name for name, flag in _NAMES if options.flags & flag]
    words += [f"clear:{name}" for name, flag in _NAMES if options.cleared & flag]
    if options.attr_set or options.attr_clr:
        words.append(f"tree:+{options.attr_set:#x}-{options.attr_clr:#x}")
    words += [word for word in (options.idmap, "tmpcopyup" if options.copy_up else "", options.data) if word]
    words += [_PROPAGATION_NAMES[flags] for flags in options.propagation]
    return f" ({','.join(words)})" if words else ""


_NAMES = (
    ("ro", m.MS_RDONLY),
    ("nosuid", m.MS_NOSUID),
    ("nodev", m.MS_NODEV),
    ("noexec", m.MS_NOEXEC),
    ("nosymfollow", m.MS_NOSYMFOLLOW),
    ("noatime", m.MS_NOATIME),
    ("nodiratime", m.MS_NODIRATIME),
    ("relatime", m.MS_RELATIME),
    ("strictatime", m.MS_STRICTATIME),
    ("sync", m.MS_SYNCHRONOUS),
    ("remount", m.MS_REMOUNT),
)
_PROPAGATION_NAMES = {
    base | rec: ("r" if rec else "") + word
    for word, base in (
        ("private", m.MS_PRIVATE),
        ("shared", m.MS_SHARED),
        ("slave", m.MS_SLAVE),
        ("unbindable", m.MS_UNBINDABLE),
    )
    for rec in (0, m.MS_REC)
}


def _refused(operation: MountFilesystem | BindMount, error: OSError) -> StartFailed:
    """Both ends of the mount and the kernel's word, in runc's and Docker's sentences."""
    refused = refusal(f'error mounting "{operation.source}" to rootfs at "{operation.destination}"', error)
    if error.errno == errno.ENOTDIR:
        refused.message += f": {_WRONG_KIND}"
    return refused
