"""What an engine has told its porter, with duplicates of the sockets: enough to tell another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from lodge.network.names.view import Member, View
from lodge.network.porter.messages import Join, Message, Open, Reserve, Target


class Held(Struct, frozen=True, kw_only=True):
    """What a porter had when an engine came up: containers with an open name server, ports by container."""

    sandboxes: frozenset[str] = frozenset()
    ports: dict[str, frozenset[str]] = field(default_factory=dict)


class _Kept:
    """Sockets, and what they are for; None until the engine has said it (again)."""

    __slots__ = ("fds", "purpose")

    def __init__(self) -> None:
        self.fds: list[int] = []
        self.purpose: View | Target | None = None

    def take(self, fds: Sequence[int]) -> None:
        """Own these in place of those before."""
        if fds:
            self.close()
            self.fds = list(fds)

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds = []


class Memory:
    """Owns the duplicates. True while there is anything that a porter is needed for."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, Member]] = {}
        self._sandboxes: dict[str, _Kept] = {}
        self._ports: dict[str, dict[str, _Kept]] = {}

    def __bool__(self) -> bool:
        return bool(self._sandboxes or self._ports)

    def held(self) -> Held:
        """The keys of all sockets."""
        return Held(
            sandboxes=frozenset(self._sandboxes),
            ports={container: frozenset(ports) for container, ports in self._ports.items()},
        )

    def join(self, network: str, member: Member) -> None:
        """Remember a member in place of what it was before."""
        self._tables.setdefault(network, {})[member.endpoint] = member

    def leave(self, network: str, endpoint: str) -> bool:
        """Forget it; whether it was there."""
        table = self._tables.get(network, {})
        found = table.pop(endpoint, None) is not None
        if not table:
            self._tables.pop(network, None)
        return found

    def sandbox(self, container: str, view: View | None, fds: Sequence[int]) -> list[int]:
        """Remember a sandbox; new sockets replace those before. Gives its sockets, which stay ours."""
        kept = self._sandboxes.setdefault(container, _Kept())
        kept.take(fds)
        kept.purpose = view
        return kept.fds

    def forget_sandbox(self, container: str) -> bool:
        """Close its sockets; whether it was there."""
        kept = self._sandboxes.pop(container, None)
        if kept is not None:
            kept.close()
        return kept is not None

    def port(self, container: str, key: str, target: Target | None, fds: Sequence[int]) -> list[int]:
        """Remember a port, as `sandbox`."""
        kept = self._ports.setdefault(container, {}).setdefault(key, _Kept())
        kept.take(fds)
        kept.purpose = target
        return kept.fds

    def forget_ports(self, container: str, key: str) -> bool:
        """Close one port or, for the key "", all of a container; whether there was any."""
        ports = self._ports.get(container, {})
        keys = list(ports) if not key else [key] if key in ports else []
        for one in keys:
            ports.pop(one).close()
        if not ports:
            self._ports.pop(container, None)
        return bool(keys)

    def settle(self) -> None:
        """Close what was found and not asked for again."""
        for container in [name for name, kept in self._sandboxes.items() if kept.purpose is None]:
            self.forget_sandbox(container)
        for container, ports in list(self._ports.items()):
            for key in [key for key, kept in ports.items() if kept.purpose is None]:
                self.forget_ports(container, key)

    def everything(self) -> Iterator[tuple[Message, Sequence[int]]]:
        """All messages that a porter needs, with their sockets."""
        for network, table in self._tables.items():
            for member in table.values():
                yield Join(network=network, member=member), ()
        for container, kept in self._sandboxes.items():
            view = kept.purpose if isinstance(kept.purpose, View) else View()
            yield Open(container=container, view=view), kept.fds
        for container, ports in self._ports.items():
            for key, kept in ports.items():
                target = kept.purpose if isinstance(kept.purpose, Target) else Target(protocol="")
                yield Reserve(container=container, key=key, target=target), kept.fds

    def close(self) -> None:
        """Close all duplicates; the porter has its own."""
        for container in list(self._sandboxes):
            self.forget_sandbox(container)
        for container in list(self._ports):
            self.forget_ports(container, "")
        self._tables.clear()
