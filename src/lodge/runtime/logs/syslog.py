"""Syslog: messages by RFC 3164 or RFC 5424, over a local socket, UDP or TCP, with Docker's options.

Source: RFC 3164 section 4, RFC 5424 section 6, RFC 6587 (frames on TCP). Sending is next door, in `forward`.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from datetime import UTC, datetime

from lodge.errors import InvalidArgument, Unsupported
from lodge.runtime.logs.forward import Place
from lodge.runtime.messages import Forward
from lodge.spec.streams import STDERR

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
)  # fmt: skip
_LOCAL0 = 16
FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")
OPTIONS = frozenset({"syslog-address", "syslog-facility", "syslog-format"})
_ERROR, _INFORMATIONAL = 3, 6
_LOCAL_SOCKETS = ("/dev/log", "/var/run/syslog", "/var/run/log")
_PORT = 514


def check(options: dict[str, str]) -> None:
    """InvalidArgument, in Docker's words, for options that make no sense; nothing is opened."""
    if options.get("syslog-format", "") not in FORMATS:
        raise InvalidArgument("Invalid syslog format")
    facility(options.get("syslog-facility", ""))
    _split(options.get("syslog-address", ""))


def facility(name: str) -> int:
    """The number of a facility by name or number; daemon when none is given."""
    if not name:
        return FACILITIES.index("daemon")
    if name in FACILITIES:
        return FACILITIES.index(name)
    if name.startswith("local") and name[5:] in tuple("01234567"):
        return _LOCAL0 + int(name[5:])
    if name.isdecimal() and int(name) <= _LOCAL0 + 7:
        return int(name)
    raise InvalidArgument("invalid syslog facility")


def _split(text: str) -> tuple[str, str]:
    if not text:
        return "", ""
    scheme, mark, rest = text.partition("://")
    if scheme == "tcp+tls":
        raise Unsupported("syslog over TLS is not supported", hint="use tcp://, or a local relay")
    if not mark or scheme not in ("tcp", "udp", "unix", "unixgram"):
        raise InvalidArgument(f"unsupported scheme: '{scheme if mark else ''}'")
    if scheme in ("unix", "unixgram"):
        if not rest.startswith("/"):
            raise InvalidArgument(f"syslog-address {text} needs an absolute path")
        return scheme, rest
    _, separator, port = rest.rpartition(":")
    if separator and not port.isdecimal():
        raise InvalidArgument(f"invalid port in syslog-address {text}")
    return scheme, rest


def address(wish: Forward) -> Place:
    """Where the wish's service listens. OSError when there is no local one."""
    scheme, rest = _split(wish.options.get("syslog-address", ""))
    if not scheme:
        rest = next((path for path in _LOCAL_SOCKETS if _is_socket(path)), _LOCAL_SOCKETS[0])
        return Place(socket.AF_UNIX, socket.SOCK_DGRAM, rest)
    if scheme in ("unix", "unixgram"):
        return Place(socket.AF_UNIX, socket.SOCK_STREAM if scheme == "unix" else socket.SOCK_DGRAM, rest)
    host, separator, port = rest.rpartition(":")
    if not separator or rest.endswith("]"):
        host, port = rest, str(_PORT)
    kind = socket.SOCK_STREAM if scheme == "tcp" else socket.SOCK_DGRAM
    family, _, _, _, found = socket.getaddrinfo(host.strip("[]") or "localhost", int(port), type=kind)[0]
    return Place(family, kind, (str(found[0]), int(found[1])))


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


class Formatter:
    """Lines as messages. On TCP and stream sockets each ends in a newline."""

    def __init__(self, wish: Forward) -> None:
        self._facility = facility(wish.options.get("syslog-facility", "")) * 8
        self._format = wish.options.get("syslog-format", "")
        self._tag = wish.tag
        self._host = socket.gethostname()
        self._pid = os.getpid()
        self._local = not wish.options.get("syslog-address", "") or wish.options["syslog-address"].startswith(
            "unix"
        )

    def message(self, stream: int, line: bytes, at_ns: int, partial: bool) -> bytes:
        """One message; `partial` shows nowhere, as with Docker."""
        del partial
        priority = self._facility + (_ERROR if stream == STDERR else _INFORMATIONAL)
        head = self._head(priority, at_ns)
        return head.encode() + line + b"\n"

    def _head(self, priority: int, at_ns: int) -> str:
        if self._format in ("rfc5424", "rfc5424micro"):
            stamp = _stamp(at_ns, micro=self._format == "rfc5424micro")
            return f"<{priority}>1 {stamp} {self._host} {self._tag} {self._pid} {self._tag} - "
        moment = time.strftime("%b %e %H:%M:%S", time.localtime(at_ns // 10**9))
        # A local service knows its host's name, and parses messages without one.
        host = "" if self._local and not self._format else f"{self._host} "
        return f"<{priority}>{moment} {host}{self._tag}[{self._pid}]: "


def _stamp(at_ns: int, *, micro: bool) -> str:
    moment = datetime.fromtimestamp(at_ns // 10**9, UTC).astimezone()
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{at_ns % 10**9 // 1000:06d}" if micro else ""
    zone = moment.strftime("%z")
    return f"{text}{fraction}{'Z' if zone == '+0000' else zone[:3] + ':' + zone[3:]}"
