"""Opening the byte stream to a daemon: unix, TCP, TLS or ssh, each as one object with the same five methods.

The unix and TCP ways use the C module `_socket` itself: `import socket` brings enum and selectors along,
5 ms for nothing this room needs. TLS and ssh import what they need.
"""

from __future__ import annotations

import _socket

from lodge.client.failures import Unreachable
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from lodge.client.address import Address, TlsFiles

    class ByteStream(Protocol):
        """What a connection needs of its transport; `_socket.socket` and `ssl.SSLSocket` both offer it."""

        def recv(self, bufsize: int, /) -> bytes:
            """Up to `bufsize` bytes; empty at the end."""

        def send(self, data: bytes, /) -> int:
            """Write some of `data`; the number of bytes taken."""

        def sendall(self, data: bytes, /) -> None:
            """Write all of `data`."""

        def shutdown(self, how: int, /) -> None:
            """Close one direction."""

        def fileno(self) -> int:
            """The descriptor, to poll on."""

        def setblocking(self, flag: bool, /) -> None:
            """Block in recv and send, or not."""

        def settimeout(self, value: float | None, /) -> None:
            """Let recv and send fail after `value` seconds."""

        def close(self) -> None:
            """Give the descriptor back."""


SHUT_WR = _socket.SHUT_WR


def open_stream(address: Address) -> ByteStream:
    """A connected stream; `Unreachable` when nobody answers there, with the docker command's words."""
    try:
        if address.scheme == "unix":
            return _open_unix(address.path)
        if address.scheme == "ssh":
            return _open_ssh(address.host)
        stream = _open_tcp(address.host, address.port)
        return _secure(stream, address, address.tls) if address.tls else stream
    except PermissionError as error:
        raise Unreachable(
            f"permission denied while trying to connect to the Lodge daemon socket at {address.text}",
            hint="only root and the members of the socket's group may use it",
        ) from error
    except OSError as error:
        unexpected = not isinstance(error, (FileNotFoundError, ConnectionRefusedError))
        raise Unreachable(
            f"Cannot connect to the Lodge daemon at {address.text}. Is the daemon running?",
            hint=str(error) if unexpected else None,
        ) from error


def _open_unix(path: str) -> ByteStream:
    stream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        stream.connect(path)
    except BaseException:
        stream.close()
        raise
    return stream


def _open_tcp(host: str, port: int) -> ByteStream:
    failure: OSError | None = None
    for family, kind, protocol, _, place in _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM):
        stream = _socket.socket(family, kind, protocol)
        try:
            stream.connect(place)
            stream.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        except OSError as error:
            stream.close()
            failure = error
        else:
            return stream
    raise failure or OSError(f"no address for {host}")


def _secure(stream: ByteStream, address: Address, files: TlsFiles) -> ByteStream:
    import os
    import socket
    import ssl

    context = ssl.create_default_context()
    try:
        if files.ca and os.path.exists(files.ca):
            context.load_verify_locations(files.ca)
        if files.certificate and os.path.exists(files.certificate):
            context.load_cert_chain(files.certificate, files.key)
    except ssl.SSLError as error:
        stream.close()
        raise InvalidArgument(f"cannot use the TLS files of {address.text}: {error}") from error
    if not files.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    plain = socket.socket(fileno=os.dup(stream.fileno()))
    stream.close()
    return context.wrap_socket(plain, server_hostname=address.host)


def _open_ssh(destination: str) -> ByteStream:
    import os

    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM, 0)
    command = ["ssh", "-o", "ConnectTimeout=30", "-T", "--", destination, "lodge", "system", "dial-stdio"]
    try:
        # SAFETY: it holds only its half of the pair (and stderr), and ends when ours is closed.
        os.posix_spawnp(
            "ssh",
            command,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), 1),
            ],
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return ours
