"""The porter as the hands see it: a container's whole wish in, the changes out.

held()                     first of all: what a porter of before has
attend(...)                for every container that lives, sockets only for what is not held
settle()                   the rest goes
attend(...), leave(...)    from then on
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from lodge.network.contract import Endpoint, Network, Resolver, Sandbox
from lodge.network.names.view import Attachment, Member, Upstream, View
from lodge.network.porter.client import Porter
from lodge.network.porter.messages import Target

NAMES = "dns"
"""The key under which `held` tells that a container's name server is open."""

_KEEP = -1


class Door(Struct, frozen=True, kw_only=True):
    """A published port: `fd` a bound socket of the host, -1 for the one that is held under this key.

    `protocol` tcp, udp or sctp; without a target the port is only kept taken.
    """

    key: str
    fd: int = _KEEP
    protocol: str = "tcp"
    target_address: str = ""
    target_port: int = 0


def open_porter(directory: str) -> Attendant:
    """The attendant of an engine's porter; no process is started before there is something to do."""
    return Attendant(Porter(directory))


class Attendant:
    """Remembers each container's last wish. Calls about one container never overlap."""

    def __init__(self, porter: Porter) -> None:
        self._porter = porter
        self._members: dict[str, dict[str, tuple[str, Member]]] = {}
        self._views: dict[str, View] = {}
        self._doors: dict[str, dict[str, Target]] = {}

    def held(self) -> dict[str, tuple[str, ...]]:
        """Containers and the keys of the sockets that a porter holds for them."""
        held = self._porter.open()
        found: dict[str, list[str]] = {container: [NAMES] for container in held.sandboxes}
        for container, keys in held.ports.items():
            found.setdefault(container, []).extend(sorted(keys))
        return {container: tuple(keys) for container, keys in found.items()}

    def settle(self) -> None:
        """Everything wanted was attended to: what else is held goes."""
        self._porter.settle()

    def attend(
        self,
        sandbox: Sandbox,
        networks: Iterable[Network],
        sockets: Sequence[int] = (),
        doors: Sequence[Door] = (),
    ) -> None:
        """Names, questions and ports of a container as they shall be, in place of what they were.

        `sockets`: UDP and listening TCP, made inside; none to keep those that are held. A door that is not
        named is closed. All descriptors stay the caller's.
        """
        container = sandbox.container
        members = {one.id: (one.network, _member(sandbox, one)) for one in sandbox.endpoints}
        self._change_members(container, members)
        view = view_of(sandbox, networks)
        if not sandbox.resolver.embedded:
            self._views.pop(container, None)
            self._porter.close_sandbox(container)
        elif sockets or self._views.get(container) != view:
            self._views[container] = view
            self._porter.open_sandbox(container, view, *sockets)
        self._change_doors(container, doors)

    def leave(self, container: str) -> None:
        """The container has ended: its sockets are closed when this returns. Idempotent."""
        self._change_members(container, {})
        self._views.pop(container, None)
        self._doors.pop(container, None)
        self._porter.close_sandbox(container)
        self._porter.free(container)

    def stop(self) -> None:
        """Let the process end: whatever it holds is closed."""
        for container in {*self._members, *self._views, *self._doors}:
            self.leave(container)
        self._porter.settle()
        self._porter.close()

    def close(self) -> None:
        """Let go; the process goes on with what it holds."""
        self._porter.close()

    def _change_members(self, container: str, wanted: dict[str, tuple[str, Member]]) -> None:
        before = self._members.pop(container, {})
        for endpoint, (network, _) in before.items():
            if endpoint not in wanted or wanted[endpoint][0] != network:
                self._porter.leave(network, endpoint)
        for endpoint, (network, member) in wanted.items():
            if before.get(endpoint) != (network, member):
                self._porter.join(network, member)
        if wanted:
            self._members[container] = wanted

    def _change_doors(self, container: str, doors: Sequence[Door]) -> None:
        before = self._doors.pop(container, {})
        wanted = {door.key: _target(door) for door in doors}
        gone = [key for key in before if key not in wanted]
        if gone:
            self._porter.free(container, gone)
        for door in doors:
            if door.fd != _KEEP or before.get(door.key) != wanted[door.key]:
                self._porter.reserve(container, door.key, wanted[door.key], door.fd)
        if wanted:
            self._doors[container] = wanted


def view_of(sandbox: Sandbox, networks: Iterable[Network]) -> View:
    """What a sandbox's questions are answered from, its networks in the order of its endpoints."""
    known = {network.id: network for network in networks}
    resolver = sandbox.resolver
    return View(
        networks=tuple(
            Attachment(
                network=one.network,
                name=known[one.network].name if one.network in known else "",
                links=one.links,
            )
            for one in sandbox.endpoints
        ),
        upstreams=tuple(_upstream(text) for text in resolver.upstreams),
        external=any(not known[one.network].internal for one in sandbox.endpoints if one.network in known),
        ndots=_has_ndots(resolver),
    )


def _member(sandbox: Sandbox, endpoint: Endpoint) -> Member:
    return Member(
        endpoint=endpoint.id,
        container=sandbox.container,
        names=endpoint.names,
        ipv4=endpoint.ipv4,
        ipv6=endpoint.ipv6,
    )


def _upstream(text: str) -> Upstream:
    """As Docker writes them into resolv.conf: "host(10.0.0.1)" is asked from the host's namespace."""
    if text.startswith("host(") and text.endswith(")"):
        return Upstream(address=text[5:-1])
    return Upstream(address=text, inside=True)


def _has_ndots(resolver: Resolver) -> bool:
    """Whether somebody chose ndots: 0 is what every container gets that has none."""
    return any(option.startswith("ndots:") and option != "ndots:0" for option in resolver.options)


def _target(door: Door) -> Target:
    return Target(
        protocol=door.protocol, address=door.target_address.partition("/")[0], port=door.target_port
    )
