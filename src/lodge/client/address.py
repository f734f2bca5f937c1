"""Where the daemon is: the text of LODGE_HOST, DOCKER_HOST or `-H` as a value.

Pure: it reads the environment that it is given and opens nothing; `lodge.client.connection` does.
"""

from __future__ import annotations

from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SOCKET = "/run/lodge/lodge.sock"


class TlsFiles:
    """Paths of the PEM files of a TLS connection; `verify` checks the daemon's certificate against `ca`."""

    __slots__ = ("ca", "certificate", "key", "verify")

    def __init__(self, ca: str | None, certificate: str | None, key: str | None, verify: bool) -> None:
        self.ca = ca
        self.certificate = certificate
        self.key = key
        self.verify = verify


class Address:
    """One endpoint: scheme "unix" with a path, "tcp" with host and port, or "ssh" with a destination.

    `text` is what the user wrote; `default` says that nobody chose it, so a daemon may be started there.
    """

    __slots__ = ("default", "host", "path", "port", "scheme", "text", "tls")

    def __init__(
        self,
        text: str,
        scheme: str,
        *,
        path: str = "",
        host: str = "",
        port: int = 0,
        tls: TlsFiles | None = None,
        default: bool = False,
    ) -> None:
        self.text = text
        self.scheme = scheme
        self.path = path
        self.host = host
        self.port = port
        self.tls = tls
        self.default = default


def resolve(environ: Mapping[str, str], chosen: str | None = None, tls: TlsFiles | None = None) -> Address:
    """The address from `-H` (`chosen`), else LODGE_HOST, else DOCKER_HOST, else the default socket.

    InvalidArgument for a text that is no address. TLS comes from `tls`, else from DOCKER_TLS,
    DOCKER_TLS_VERIFY and DOCKER_CERT_PATH as the docker command reads them.
    """
    text = chosen or environ.get("LODGE_HOST") or environ.get("DOCKER_HOST")
    if not text:
        return Address(f"unix://{DEFAULT_SOCKET}", "unix", path=DEFAULT_SOCKET, default=True)
    return parse(text, tls or _tls_from(environ))


def parse(text: str, tls: TlsFiles | None = None) -> Address:
    """One address: `unix:///path`, a bare `/path`, `tcp://host[:port]`, `http(s)://...` or `ssh://...`."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        scheme, rest = ("unix", text) if text.startswith("/") else ("tcp", text)
    if scheme == "unix":
        return Address(text, "unix", path=rest or DEFAULT_SOCKET)
    if scheme == "ssh" and rest:
        return Address(text, "ssh", host=rest)
    if scheme not in ("tcp", "http", "https"):
        raise InvalidArgument(f"unable to parse docker host `{text}`")
    if scheme == "https" and tls is None:
        tls = TlsFiles(None, None, None, verify=True)
    host, port = _host_and_port(text, rest, 2376 if tls else 2375)
    return Address(text, "tcp", host=host, port=port, tls=tls)


def _host_and_port(text: str, rest: str, default_port: int) -> tuple[str, int]:
    authority = rest.partition("/")[0]
    if authority.startswith("["):
        host, mark, tail = authority[1:].partition("]")
        if not mark or (tail and not tail.startswith(":")):
            raise InvalidArgument(f"unable to parse docker host `{text}`")
        port = tail[1:]
    else:
        host, _, port = authority.partition(":")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise InvalidArgument(f"invalid port in docker host `{text}`")
    return host or "127.0.0.1", int(port or default_port)


def _tls_from(environ: Mapping[str, str]) -> TlsFiles | None:
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    if not (verify or environ.get("DOCKER_TLS")):
        return None
    folder = environ.get("DOCKER_CERT_PATH") or f"{environ.get('HOME', '')}/.docker"
    return TlsFiles(f"{folder}/ca.pem", f"{folder}/cert.pem", f"{folder}/key.pem", verify)
