"""Limits on what a container sends and receives, by queues at the host's ends of its interfaces.

Out of reach of the container: inside, whoever may administer the network could take them away. What it
receives waits where its port sends, each interface for itself; what it sends is led through an intermediate
link (ifb) of its own, shared by all its interfaces, and waits there.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterable

from lodge.errors import Unsupported
from lodge.kernel.netlink import links, queues
from lodge.kernel.netlink.socket import NetlinkSocket, Refused
from lodge.kernel.netlink.wire import Request
from lodge.network import host, naming
from lodge.network.contract import Bandwidth

_NOTHING_THERE = (errno.ENOENT, errno.EINVAL, errno.ENODEV)
_LEAST_BURST = 16 * 1024
_PATIENCE = 0.05
"""Seconds that a packet may wait before the queue is full."""


class Limiter:
    """Sets limits through one socket in the host's namespace."""

    def __init__(self, instance: str, sock: NetlinkSocket, lock: threading.Lock) -> None:
        self._instance = instance
        self._socket = sock
        self._lock = lock

    def limit(self, container: str, ports: Iterable[int], bandwidth: Bandwidth) -> None:
        """Limit these ports so, 0 lifts a limit. Unsupported where the kernel has no such queues."""
        ports = list(ports)
        with self._lock:
            try:
                for port in ports:
                    self._receive(port, bandwidth.ingress // 8)
                self._send(container, ports, bandwidth.egress // 8)
            except Refused as refused:
                raise Unsupported(f"this kernel can't limit bandwidth: {refused.strerror}") from refused

    def forget(self, container: str) -> None:
        """Take the container's intermediate link away; idempotent."""
        with self._lock:
            self._socket.do(links.delete(_name(container)), tolerate=(errno.ENODEV,))

    def leftovers(self, alive: Iterable[str]) -> None:
        """Take away the links of containers that are not among these."""
        wanted = {_name(container) for container in alive}
        with self._lock:
            for link in host.every_link(self._socket):
                mark = naming.mark(link, self._instance)
                if mark is not None and mark.kind == naming.SHAPER and link.name not in wanted:
                    self._socket.do(links.delete(index=link.ifindex), tolerate=(errno.ENODEV,))

    def _receive(self, port: int, rate: int) -> None:
        if rate:
            self._socket.do(_bucket(port, rate))
        else:
            self._socket.do(queues.no_queue(port), tolerate=_NOTHING_THERE)

    def _send(self, container: str, ports: list[int], rate: int) -> None:
        if not rate:
            for port in ports:
                self._socket.do(queues.no_ingress(port), tolerate=_NOTHING_THERE)
            self._socket.do(links.delete(_name(container)), tolerate=(errno.ENODEV,))
            return
        name = _name(container)
        mark = links.settings(alias=naming.alias(self._instance, naming.SHAPER, container))
        self._socket.do(
            links.ifb(name),
            links.change(name, also=mark),
            links.change(name, up=True),
            tolerate=(errno.EEXIST,),
        )
        shaper = links.parse(self._socket.ask(links.get(name))[0]).ifindex
        self._socket.do(_bucket(shaper, rate))
        for port in ports:
            self._socket.do(queues.no_ingress(port), tolerate=_NOTHING_THERE)
            self._socket.do(queues.ingress(port), queues.redirect(port, shaper))


def _bucket(index: int, rate: int) -> Request:
    burst = max(_LEAST_BURST, rate // 100)
    return queues.token_bucket(index, rate, burst, burst + max(int(rate * _PATIENCE), 64 * 1024))


def _name(container: str) -> str:
    return "lifb" + container[:11]
