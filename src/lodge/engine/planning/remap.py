"""User namespaces: which ids of the host the ids of a container are.

Ranges come from /etc/subuid and /etc/subgid, as for Docker's userns-remap; "default" takes those of
`dockremap` where there are any, else a range after all that are given away. Image layers and volumes keep the
owners that they have: the runtime shows them shifted. Pure.
"""

from __future__ import annotations

from msgspec import Struct

from lodge.engine.planning.namespaces import HOST, joined
from lodge.errors import InvalidArgument, Unsupported
from lodge.spec.container import HostConfig
from lodge.spec.runtime import IdMapping

REMAP = "remap"
DEFAULT_USER = "dockremap"
_FIRST_FREE = 231072
_SIZE = 65536


class Mappings(Struct, frozen=True, kw_only=True):
    """The lines of the two maps. `by_default`: for each container that doesn't say otherwise."""

    uids: tuple[IdMapping, ...] = ()
    gids: tuple[IdMapping, ...] = ()
    by_default: bool = False

    @property
    def root(self) -> tuple[int, int]:
        """Who a container's root is on the host."""
        return self.uids[0].host_id, self.gids[0].host_id


def read(setting: str, subuid: str, subgid: str) -> Mappings:
    """The mappings for a setting ("", default, USER or USER:GROUP) and the two files' texts.

    InvalidArgument when a user is named who has no range.
    """
    user, _, group = setting.partition(":")
    chosen = user in ("", "default")
    names = (DEFAULT_USER, DEFAULT_USER) if chosen else (user, group or user)
    found = []
    for name, text, file in ((names[0], subuid, "/etc/subuid"), (names[1], subgid, "/etc/subgid")):
        ranges = [(first, count) for owner, first, count in _ranges(text) if owner == name]
        if not ranges and not chosen:
            raise InvalidArgument(f"no subordinate ids are given to {name!r} in {file}")
        found.append(_mappings(ranges or [(_after_all(text), _SIZE)]))
    return Mappings(uids=found[0], gids=found[1], by_default=bool(setting))


def _ranges(text: str) -> list[tuple[str, int, int]]:
    ranges = []
    for line in text.splitlines():
        parts = line.strip().split(":")
        if len(parts) == 3 and parts[1].isdecimal() and parts[2].isdecimal():
            ranges.append((parts[0], int(parts[1]), int(parts[2])))
    return ranges


def _after_all(text: str) -> int:
    return max([_FIRST_FREE, *(first + count for _, first, count in _ranges(text))])


def _mappings(ranges: list[tuple[int, int]]) -> tuple[IdMapping, ...]:
    inside, lines = 0, []
    for first, count in ranges:
        lines.append(IdMapping(container_id=inside, host_id=first, size=count))
        inside += count
    return tuple(lines)


def wanted(host: HostConfig, mappings: Mappings) -> bool:
    """Whether this container has a user namespace of its own."""
    if not mappings.uids or host.userns_mode == HOST:
        return False
    return mappings.by_default or host.userns_mode == REMAP


def check(host: HostConfig, mappings: Mappings) -> None:
    """InvalidArgument, in Docker's words, for what a remapped container can't have."""
    if not wanted(host, mappings):
        return
    if host.privileged:
        raise InvalidArgument(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host "
            "namespace when running privileged mode"
        )
    if host.network_mode == HOST:
        raise InvalidArgument("cannot share the host's network namespace when user namespaces are enabled")
    if host.pid_mode == HOST:
        raise InvalidArgument("cannot share the host PID namespace when user namespaces are enabled")
    if any(joined(mode) for mode in (host.network_mode, host.ipc_mode, host.pid_mode)):
        raise Unsupported(
            "a container with remapped users can't join another container's namespaces yet",
            hint="run it with --userns host",
        )
