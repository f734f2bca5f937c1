"""An init that was born ahead: all that is the same in every usual container is made before anybody asks.

Most containers want the same namespaces, the same /proc, /dev and /sys, the same masks. A `Pattern` holds the
operations that such plans have in common; `build` performs them in an init that has no order yet, in a mount
namespace that ends right after, and keeps three detached trees. What the order's own plan says beyond that
is left for its start: `Pattern.rest_of` takes off what is done. The init is in the host's mount namespace
until then, so it sees what is mounted meanwhile and holds on to nothing. A container that joins a network
namespace leaves the init's own: what is tied to that (/sys shows its devices) is then made again.

The keeper's side is `monitor.cell`, what is said between the two is in `handshake`.
"""

from __future__ import annotations

import os

import msgspec
from msgspec import Struct

from lodge.kernel import mount as m
from lodge.kernel import namespaces as ns
from lodge.runtime.process.birth import Birth
from lodge.runtime.process.devices import Link, MakeDevice
from lodge.runtime.process.extras import Extras
from lodge.runtime.process.handshake import Channel
from lodge.runtime.process.hooks import HookRunner
from lodge.runtime.process.masks import MaskPaths, ReadOnlyPaths
from lodge.runtime.process.mounts import BindMount, MountFilesystem, mount_point_of
from lodge.runtime.process.names import JoinNamespaces, LoopbackUp, WriteSysctls
from lodge.runtime.process.operation import Operation, Site
from lodge.runtime.process.plan import Plan, Surroundings, plan_init
from lodge.spec.runtime import RuntimeConfig, encode

# The trees that can be made ahead: a place, and the type of file system that is its top.
_TOPS = (("/proc", "proc"), ("/dev", "tmpfs"), ("/sys", "sysfs"))
_NETWORKED = ("/sys", "sysfs")
# Where masks lie, which nothing that comes later may cover.
_GUARDED = ("/proc/", "/sys/")
_CLONE = m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC | m.AT_RECURSIVE
_ONTO = m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_EMPTY_PATH


class OwnMounts(Operation, frozen=True):
    """Leave the host's mount namespace, as it is now."""

    def __str__(self) -> str:
        return "unshare mount"

    def perform(self, _site: Site) -> None:
        """Not at birth: the host's mounts of that moment may be gone by now, or others have come."""
        ns.unshare(ns.CLONE_NEWNS)


class AttachTrees(Operation, frozen=True):
    """Put the trees that were made ahead in their places."""

    tops: tuple[tuple[str, str], ...]
    trees: tuple[int, ...]

    def __str__(self) -> str:
        return "\n".join(f"attach {place}" for place, _ in self.tops)

    def perform(self, site: Site) -> None:
        """With the care for the image's links that a mount takes."""
        for (place, kind), tree in zip(self.tops, self.trees, strict=True):
            target = mount_point_of(site, place, kind)
            try:
                m.move_mount(tree, "", target, "", _ONTO)
            finally:
                os.close(target)


class Pattern(Struct, frozen=True):
    """What plans of usual containers have in common; `text` is the config that has nothing else.

    `tops` are the trees: where each goes, and its type.
    """

    birth: Birth
    tops: tuple[tuple[str, str], ...]
    ahead: tuple[Operation, ...]
    text: bytes

    @classmethod
    def of(cls, usual: RuntimeConfig) -> Pattern:
        """The pattern of a config that has nothing but what is usual."""
        plan = plan_init(usual, Extras(), Surroundings(bundle="/", place="/rootfs", cgroup=None, held=0))
        mounts = [step for step in plan.operations if isinstance(step, MountFilesystem)]
        mounted = {(mount.destination, mount.type) for mount in mounts}
        tops = tuple(top for top in _TOPS if top in mounted)
        ahead = tuple(step for step in plan.operations if _can_be_ahead(step, tops))
        return cls(plan.birth, tops, ahead, encode(usual))

    @property
    def flags(self) -> int:
        """The namespaces to be born into."""
        return self.birth.flags & ~ns.CLONE_NEWNS

    def rest_of(self, plan: Plan, trees: tuple[int, ...]) -> tuple[Operation, ...] | None:
        """What is left to do of a plan; None when it is not of this pattern."""
        pattern = self
        if plan.birth != self.birth:
            pattern = self._without_network()
            if plan.birth != pattern.birth or not _joins_network(plan):
                return None
        ahead = pattern.ahead
        if any(step not in plan.operations for step in ahead):
            return None
        rest: list[Operation] = [step for step in plan.operations if step not in ahead]
        if not all(map(_is_independent, rest)):
            return None
        first = min(plan.operations.index(step) for step in ahead)
        attach = AttachTrees(pattern.tops, trees[: len(pattern.tops)])
        return (OwnMounts(), *rest[:first], attach, *rest[first:])

    def _without_network(self) -> Pattern:
        """What of it stays true in another network namespace."""
        birth = msgspec.structs.replace(self.birth, flags=self.birth.flags & ~ns.CLONE_NEWNET)
        tops = tuple(top for top in self.tops if top != _NETWORKED)
        ahead = tuple(step for step in self.ahead if _place_of(step) and _can_be_ahead(step, tops))
        return Pattern(birth, tops, ahead, self.text)


def build(pattern: Pattern, place: str, channel: Channel, hooks: HookRunner) -> tuple[int, ...]:
    """Perform what can be done ahead; the trees. `place` is a directory of ours, covered for the while."""
    host = ns.open_namespace("self", "mount")
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    # SAFETY: what is mounted here is in a namespace that ends when this process goes back.
    ns.unshare(ns.CLONE_NEWNS)
    m.mount(None, "/", None, m.MS_PRIVATE | m.MS_REC)
    m.mount("tmpfs", place, "tmpfs", 0, "mode=755")
    site = Site(channel, hooks, list)
    site.rootfd, site.root_path = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), place
    for top, _ in pattern.tops:
        os.mkdir(place + top, 0o755)
    os.umask(0)
    for step in pattern.ahead:
        step.perform(site)
    site.forget_directories()
    trees = tuple(m.open_tree(m.AT_FDCWD, place + top, _CLONE) for top, _ in pattern.tops)
    ns.setns(host, ns.CLONE_NEWNS)
    # The namespace's own root is not ours when the engine lives in a chroot.
    os.fchdir(root)
    os.chroot(".")
    os.chdir("/")
    for fd in (host, root, site.rootfd):
        os.close(fd)
    return trees


def _can_be_ahead(step: Operation, tops: tuple[tuple[str, str], ...]) -> bool:
    """Whether a step needs nothing but the trees and the namespaces."""
    place = _place_of(step)
    if not place:
        return isinstance(step, LoopbackUp | WriteSysctls)
    return any(place == top or place.startswith(f"{top}/") for top, _ in tops)


def _place_of(step: Operation) -> str:
    """Where a step does something that may be done in a tree; "" when it does not."""
    match step:
        case MountFilesystem(destination=place) | MakeDevice(path=place) | Link(path=place):
            return place
        case ReadOnlyPaths(paths=places) | MaskPaths(paths=places):
            return places[0]
        case _:
            return ""


def _joins_network(plan: Plan) -> bool:
    joins = (step for step in plan.operations if isinstance(step, JoinNamespaces))
    return any("network" in dict(join.spaces) for join in joins)


def _is_independent(step: Operation) -> bool:
    """Whether a step comes to the same after all that was done ahead."""
    if isinstance(step, BindMount):
        # Owners are mapped by the keeper; and a mask that was there first would be covered.
        return not step.options.idmap and not step.destination.startswith(_GUARDED)
    if isinstance(step, MountFilesystem):
        return step.type == "cgroup2" or not step.destination.startswith(_GUARDED)
    return True
