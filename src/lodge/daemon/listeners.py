"""Listening sockets: made of `hosts` values, or taken from systemd. May touch sockets and the group file."""

from __future__ import annotations

import grp
import logging
import os
import socket
import stat
from typing import TYPE_CHECKING, NamedTuple

from lodge.daemon import hosts
from lodge.daemon.hosts import Host
from lodge.errors import Conflict, InvalidArgument

if TYPE_CHECKING:
    import ssl

    from lodge.daemon.config import Config

_log = logging.getLogger("lodge.daemon")
_FIRST_FD = 3  # sd_listen_fds(3)
_SOCKET_MODE = 0o660


def open_all(config: Config) -> list[tuple[Host, socket.socket]]:
    """All sockets of the configuration; none stays open when one fails."""
    mutual, any_tls = wants_mutual_tls(config), bool(config.tls or config.tlsverify)
    default = f"{config.exec_root}/lodge.sock"
    wanted = [
        hosts.parse(text, default_socket=default, tls=any_tls) for text in config.hosts or default_hosts()
    ]
    for host in wanted:
        hosts.check(host, mutual=mutual, tls=any_tls)
        if host.kind == "tcp" and not mutual:
            _log.warning("API is accessible on tcp://%s:%s by every process here", host.address, host.port)
    opened: list[tuple[Host, socket.socket]] = []
    try:
        for host in wanted:
            opened += [(host, sock) for sock in open_listener(host, config.group)]
    except BaseException:
        for _, sock in opened:
            sock.close()
        raise
    return opened


def default_hosts() -> list[str]:
    """Where to listen when nobody says it: on systemd's sockets if it passed some, or on our own."""
    return ["fd://"] if os.environ.get("LISTEN_PID") == str(os.getpid()) else ["unix://"]


def wants_mutual_tls(config: Config) -> bool:
    """Whether clients over TCP must show a certificate. A CA without --tlsverify means that too."""
    return bool(config.tlsverify or (config.tls and config.tlscacert))


def tls_context(config: Config) -> ssl.SSLContext | None:
    """TLS for TCP sockets, if it is wanted; InvalidArgument when a file is missing."""
    if not wants_mutual_tls(config):
        return None
    if not (config.tlscacert and config.tlscert and config.tlskey):
        raise InvalidArgument("--tlsverify needs --tlscacert, --tlscert and --tlskey")
    return mutual_tls(config.tlscacert, config.tlscert, config.tlskey)


def open_listener(host: Host, group: str) -> list[socket.socket]:
    """The sockets of one host, bound but not yet listening. Conflict when somebody is there already."""
    if host.kind == "unix":
        return [unix(host.address, group)]
    if host.kind == "fd":
        return inherited(host.address)
    return [tcp(host.address, host.port)]


def unix(path: str, group: str) -> socket.socket:
    """A socket file of mode 0660 that belongs to `group` (root where there is no such default group)."""
    os.makedirs(os.path.dirname(path), mode=0o711, exist_ok=True)
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777)  # nobody may connect before owner and mode are right
    try:
        sock.bind(path)
    finally:
        os.umask(before)
    os.chown(path, 0, group_id(group))
    os.chmod(path, _SOCKET_MODE)
    return sock


class SocketFile(NamedTuple):
    """A socket's file that is ours to remove, unless another daemon has put its own there."""

    path: str
    inode: int

    def remove(self) -> None:
        """Remove it; idempotent."""
        try:
            if os.lstat(self.path).st_ino == self.inode:
                os.unlink(self.path)
        except FileNotFoundError:
            pass


def socket_files(host: Host) -> list[SocketFile]:
    """The file that a host's socket made, if it made one."""
    return [SocketFile(host.address, os.lstat(host.address).st_ino)] if host.kind == "unix" else []


def group_id(group: str) -> int:
    """A group by name or number; without one `lodge`, or `docker`, or root: the first that exists."""
    if group.isdecimal():
        return int(group)
    for name in (group,) if group else ("lodge", "docker"):
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            continue
    if group:
        raise InvalidArgument(f"group {group} not found")
    return 0


def _remove_stale(path: str) -> None:
    """Remove the socket of a daemon that is gone. Conflict if it lives, or if the file is something else."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise Conflict(f"can't listen on {path}: there is a file that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            os.unlink(path)
            return
    raise Conflict(f"can't listen on {path}: another daemon does", hint="stop it, or choose another -H")


def tcp(address: str, port: int) -> socket.socket:
    """A TCP socket."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    return sock


def inherited(name: str) -> list[socket.socket]:
    """Sockets that systemd opened: all, or those of a name or number (sd_listen_fds(3))."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        raise InvalidArgument(
            "no sockets found via socket activation: make sure the service was started by systemd"
        )
    count = int(os.environ.get("LISTEN_FDS", "0"))
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    found = []
    for index in range(count):
        fd = _FIRST_FD + index
        os.set_inheritable(fd, False)
        label = names[index] if index < len(names) else ""
        if name in ("", "*", str(fd), label):
            found.append(socket.socket(fileno=fd))
    if not found:
        raise InvalidArgument(f"no sockets found via socket activation for fd://{name}")
    return found


def mutual_tls(ca: str, certificate: str, key: str) -> ssl.SSLContext:
    """TLS for both sides: only clients with a certificate of `ca` come in."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(f"could not load TLS files ({certificate}, {key}, {ca}): {error}") from None
    context.verify_mode = ssl.CERT_REQUIRED
    return context
