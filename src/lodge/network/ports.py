"""Published ports: which addresses and targets one wish means, and the host's sockets that keep them taken.

`plan` is pure. `reserve` binds a socket for each binding before anything else happens, so that a conflict is
found before the start, with whoever it is; the sockets go to the porter, which keeps them.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_interface
from typing import NamedTuple

from lodge.errors import Conflict, Exhausted, InvalidArgument, Unsupported
from lodge.kernel.netlink import conntrack
from lodge.kernel.netlink.wire import Request
from lodge.network.contract import Endpoint, Port
from lodge.network.firewall.facts import Opening
from lodge.network.settings import BridgeSettings

_ANY4, _ANY6 = "0.0.0.0", "::"
_TRIES = 10


class Binding(NamedTuple):
    """One address of the host and one port there, for a port of the container.

    `wish` as it was given, `port` as it is bound (before: with the wished number). `target` is the address
    that traffic goes to; `kernel`: by translation, else by proxy only; `proxied`: the porter forwards what
    reaches the socket.
    """

    wish: Port
    port: Port
    version: int
    host: str
    target: str
    kernel: bool
    proxied: bool

    @property
    def key(self) -> str:
        """The porter's name for it."""
        host = f"[{self.host}]" if self.version == 6 else self.host
        return f"{self.port.protocol}/{host}:{self.port.host_port}"


class Reserved(NamedTuple):
    """A binding with its socket; None where this kernel has no such protocol."""

    binding: Binding
    socket: socket.socket | None


def plan(
    ports: Sequence[Port], endpoint4: Endpoint | None, endpoint6: Endpoint | None,
    options: BridgeSettings, *, proxy: bool, kernel: bool, ipv6_host: bool,
) -> list[Binding]:  # fmt: skip
    """The bindings of a sandbox's ports.

    `endpoint4`, `endpoint6`: who holds the default routes; `kernel`, `proxy`: which ways are allowed at all.
    """
    target4 = str(ip_interface(endpoint4.ipv4).ip) if endpoint4 and endpoint4.ipv4 else ""
    target6 = str(ip_interface(endpoint6.ipv6).ip) if endpoint6 and endpoint6.ipv6 else ""
    found = []
    for port in ports:
        for host in _hosts(port, options):
            version = ip_address(host).version
            if version == 6 and not ipv6_host and port.host_ip == "":
                continue
            translated = target4 if version == 4 else target6
            mode = options.mode4 if version == 4 else options.mode6
            if translated and mode == "routed":
                continue
            target = translated or (target4 if version == 6 and proxy else "")
            if target:
                by_kernel = kernel and bool(translated)
                found.append(
                    _at(Binding(port, port, version, host, target, by_kernel, proxy), port.host_port)
                )
    return found


def _hosts(port: Port, options: BridgeSettings) -> list[str]:
    if port.host_ip:
        try:
            return [str(ip_address(port.host_ip))]
        except ValueError:
            raise InvalidArgument(f"invalid IP address in port mapping: {port.host_ip}") from None
    if options.binding and options.binding != _ANY4:
        return [options.binding]
    return [_ANY4, _ANY6]


def keep(wished: Binding, held: Sequence[Binding]) -> Binding:
    """A wish for any port, or for one of a range, is met by the port that it has already."""
    first, last = wished.wish.host_port, wished.wish.host_last
    if first and last <= first:
        return wished
    for binding in held:
        port = binding.port
        same = (port.container_port, port.protocol) == (wished.port.container_port, wished.port.protocol)
        fits = not first or first <= port.host_port <= last
        if same and fits and binding.host == wished.host:
            return wished._replace(port=port)
    return wished


def reserve(bindings: Sequence[Binding], ours: Iterable[str]) -> list[Reserved]:
    """Bind them all; `ours` are the keys that this engine's containers hold. All or none.

    Conflict with Docker's words; bindings come back with their real ports.
    """
    mine = set(ours)
    done: list[Reserved] = []
    try:
        for group in _groups(bindings):
            got = _reserve_group(group, mine)
            mine.update(reserved.binding.key for reserved in got)
            done += got
    except BaseException:
        close(done)
        raise
    return done


def close(reserved: Iterable[Reserved]) -> None:
    """Close our copies of the sockets."""
    for each in reserved:
        if each.socket is not None:
            each.socket.close()


def _groups(bindings: Sequence[Binding]) -> list[list[Binding]]:
    """Bindings of one wish belong together: they get the same host port."""
    groups: list[list[Binding]] = []
    last: Port | None = None
    for binding in bindings:
        if binding.wish is not last:
            groups.append([])
            last = binding.wish
        groups[-1].append(binding)
    return groups


def _reserve_group(group: list[Binding], mine: set[str]) -> list[Reserved]:
    port = group[0].wish
    if port.host_port and port.host_last <= port.host_port:
        return _reserve_at(group, port.host_port, mine)
    choices = range(port.host_port, port.host_last + 1) if port.host_port else [0] * _TRIES
    for choice in choices:
        try:
            return _reserve_at(group, choice, mine)
        except Conflict as conflict:
            last = conflict
    if port.host_port:
        raise last
    raise Exhausted(
        "no free port of the ephemeral range was found for " + f"{port.container_port}/{port.protocol}"
    )


def _reserve_at(group: list[Binding], number: int, mine: set[str]) -> list[Reserved]:
    got: list[Reserved] = []
    try:
        for binding in group:
            wanted = _at(binding, number)
            if number and wanted.key in mine:
                raise Conflict(f"Bind for {_spell(wanted)} failed: port is already allocated")
            sock = _bind(wanted)
            if sock is not None:
                number = sock.getsockname()[1]
            elif not number:
                raise Unsupported(f"this kernel has no {binding.port.protocol}, so a host port must be named")
            got.append(Reserved(_at(binding, number), sock))
    except BaseException:
        close(got)
        raise
    return got


def _at(binding: Binding, number: int) -> Binding:
    port = binding.port
    bound = Port(
        container_port=port.container_port, protocol=port.protocol, host_ip=binding.host, host_port=number
    )
    return binding._replace(port=bound)


def _spell(binding: Binding) -> str:
    host = f"[{binding.host}]" if binding.version == 6 else binding.host
    return f"{host}:{binding.port.host_port}"


def _bind(binding: Binding) -> socket.socket | None:
    family = socket.AF_INET if binding.version == 4 else socket.AF_INET6
    protocol = binding.port.protocol
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    try:
        sock = socket.socket(family, kind, socket.IPPROTO_SCTP if protocol == "sctp" else 0)
    except OSError as error:
        if protocol == "sctp" and error.errno == errno.EPROTONOSUPPORT:
            return None
        raise
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((binding.host, binding.port.host_port))
        if kind == socket.SOCK_STREAM and binding.proxied:
            sock.listen(1024)
    except OSError as error:
        sock.close()
        why = os.strerror(error.errno or 0).lower()
        if error.errno == errno.EADDRNOTAVAIL:
            why = "cannot assign requested address"
        raise Conflict(f"failed to bind host port {_spell(binding)}/{protocol}: {why}") from error
    return sock


def openings(bindings: Iterable[Binding]) -> list[Opening]:
    """What the firewall shall know of them."""
    return [
        Opening(
            version=binding.version,
            protocol=binding.port.protocol,
            host="" if binding.host in (_ANY4, _ANY6) else binding.host,
            host_port=binding.port.host_port,
            target=binding.target,
            target_port=binding.port.container_port,
            kernel=binding.kernel,
        )
        for binding in bindings
        if binding.kernel or binding.host.startswith("127.")
    ]


def stale_flows(bindings: Iterable[Binding]) -> list[Request]:
    """What was sent to these UDP ports before: a flow that goes on would never meet the new translation."""
    return [
        conntrack.forget_port(binding.version, socket.IPPROTO_UDP, binding.port.host_port)
        for binding in bindings
        if binding.port.protocol == "udp"
    ]


def ended_flows(bindings: Iterable[Binding]) -> list[Request]:
    """What was translated to a container that has ended: its address may be another's soon."""
    targets = {binding.target for binding in bindings if binding.kernel and binding.port.protocol == "udp"}
    return [conntrack.forget_answers_of(target) for target in targets]


def direct(ports: Sequence[Port], endpoint: Endpoint | None, version: int) -> list[Opening]:
    """Ports that may be reached at the container's own address."""
    interface = endpoint and (endpoint.ipv4 if version == 4 else endpoint.ipv6)
    if not interface:
        return []
    own = str(ip_interface(interface).ip)
    return [
        Opening(
            version=version, protocol=port.protocol, host="", host_port=0,
            target=own, target_port=port.container_port, kernel=False, direct=True,
        )
        for port in ports
    ]  # fmt: skip
