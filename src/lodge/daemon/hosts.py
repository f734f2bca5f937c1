"""Where lodged listens: `-H` in Docker's spellings, as values. Pure."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from lodge.errors import InvalidArgument

_TLS_PORT, _PLAIN_PORT = 2376, 2375


class Host(NamedTuple):
    """One place: kind is unix (address is a path), tcp, or fd (systemd's: address a name or nothing)."""

    kind: str
    address: str
    port: int = 0

    def __str__(self) -> str:
        return f"{self.kind}://{self.address}" + (f":{self.port}" if self.kind == "tcp" else "")

    @property
    def loopback(self) -> bool:
        """Only this machine can come in."""
        if self.kind != "tcp":
            return True
        try:
            return ipaddress.ip_address(self.address).is_loopback
        except ValueError:
            return self.address == "localhost"


def parse(text: str, *, default_socket: str, tls: bool) -> Host:
    """One `-H`. InvalidArgument for what is no address."""
    kind, separator, rest = text.strip().partition("://")
    if not separator:
        kind, rest = ("unix", kind) if kind.startswith("/") or not kind else ("tcp", kind)
    if kind == "unix":
        path = rest or default_socket
        if not path.startswith("/"):
            raise InvalidArgument(f"invalid bind address ({text}): a unix socket's path must be absolute")
        return Host("unix", path)
    if kind == "fd":
        return Host("fd", rest)
    if kind == "tcp":
        return _tcp(text, rest, tls)
    raise InvalidArgument(f"invalid bind address format: {text}")


def _tcp(text: str, rest: str, tls: bool) -> Host:
    address, colon, port_text = rest.rpartition(":")
    if not colon or rest.endswith("]"):
        address, port_text = rest, ""
    address = address.removeprefix("[").removesuffix("]")
    if "/" in rest or (port_text and not port_text.isdecimal()):
        raise InvalidArgument(f"invalid bind address format: {text}")
    port = int(port_text) if port_text else _TLS_PORT if tls else _PLAIN_PORT
    if port > 65535:
        raise InvalidArgument(f"invalid bind address format: {text}: invalid port")
    return Host("tcp", address or "127.0.0.1", port)


def check(host: Host, *, mutual: bool, tls: bool) -> None:
    """The engine's socket is root's: over TCP nobody may come in who doesn't prove who he is."""
    if host.kind != "tcp" or mutual:
        return
    if tls:
        raise InvalidArgument(
            f"refusing to listen on tcp://{host.address}:{host.port} with --tls alone: anybody could come in",
            hint="use --tlsverify with --tlscacert, so that clients need a certificate",
        )
    if not host.loopback:
        raise InvalidArgument(
            f"refusing to listen on tcp://{host.address}:{host.port} without TLS: "
            "it would give root on this machine to the network",
            hint="use --tlsverify with --tlscacert, --tlscert and --tlskey, or a unix socket",
        )
