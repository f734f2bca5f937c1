"""How registries are reached: the words of daemon.json's `registries` table and of Docker's own settings.

Values only. What follows from them for one image name is next door, in `endpoints`.
"""

from __future__ import annotations

from msgspec import Struct, field

CERTIFICATE_DIRECTORIES = ("/etc/lodge/certs.d", "/etc/docker/certs.d", "/etc/containers/certs.d")
"""Below each a directory `host[:port]` with *.crt (authorities), *.cert and *.key (of the client)."""


class Mirror(Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """A place to ask before a registry itself. A path in `url` is put before the repository's name there.

    `rewrite` maps regular expressions of repository names to what they are called there; the first counts.
    """

    url: str
    rewrite: dict[str, str] = {}


class RegistryEntry(Struct, frozen=True, rename="kebab", forbid_unknown_fields=True, kw_only=True):
    """What is known of one registry, named by its host[:port]; also of a mirror's host. Times are seconds.

    `ca`, `client_cert` and `client_key` are paths of PEM files. `insecure` doesn't check certificates and
    allows plain HTTP; `plain_http` uses nothing else. `fallback` false: only the mirrors are asked.
    `token_realms` are further hosts that may be sent this registry's credentials in return for a token.
    `upload_chunk` bytes at most go in one request, for registries behind something that limits them; 0: all.
    """

    mirrors: tuple[str | Mirror, ...] = ()
    fallback: bool = True
    rewrite: dict[str, str] = {}
    ca: str = ""
    client_cert: str = ""
    client_key: str = ""
    insecure: bool = False
    plain_http: bool = False
    connect_timeout: float = 15.0
    read_timeout: float = 60.0
    token_realms: tuple[str, ...] = ()
    upload_chunk: int = 0


class RegistrySettings(Struct, kw_only=True):
    """Everything that decides how registries are asked.

    `mirrors` are Docker's: of Docker Hub only. `insecure` are hosts (with or without port) and networks in
    CIDR form. Proxies are URLs; `no_proxy` is a list with commas as curl reads it.
    """

    mirrors: list[str] = []
    insecure: list[str] = []
    registries: dict[str, RegistryEntry] = {}
    certificate_directories: tuple[str, ...] = CERTIFICATE_DIRECTORIES
    max_downloads: int = 3
    max_uploads: int = 5
    max_attempts: int = 5
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    user_agent: str = field(default="lodge")
