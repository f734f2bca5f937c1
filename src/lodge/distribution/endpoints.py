"""Which places are asked for an image name, in which order, and how each is reached. Pure.

Docker Hub's name in references is docker.io, its registry is registry-1.docker.io. Plain HTTP and unchecked
certificates are for loopback addresses and for hosts that the settings name, as in Docker.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from msgspec import Struct

from lodge.distribution.settings import Mirror, RegistryEntry, RegistrySettings
from lodge.errors import InvalidArgument
from lodge.spec.reference import DEFAULT_DOMAIN

HUB_HOST = "registry-1.docker.io"
_HUB_NAMES = (DEFAULT_DOMAIN, "index.docker.io", HUB_HOST)
_DEFAULT = RegistryEntry()


class Endpoint(Struct, frozen=True, kw_only=True):
    """One place: `host` with its port, schemes in the order to try, the repository's name there.

    `verified` says that certificates are checked. `own` is the registry itself, which credentials are for.
    """

    host: str
    schemes: tuple[str, ...]
    repository: str
    verified: bool
    own: bool
    entry: RegistryEntry


def plan(settings: RegistrySettings, domain: str, path: str, *, mirrored: bool = True) -> list[Endpoint]:
    """Return the places to ask for `domain/path`, best first; with `mirrored` false the registry alone.

    Raises InvalidArgument when a rewrite or a mirror's URL can't be read, or nothing is left to ask.
    """
    entry = _entry(settings, domain)
    found: list[Endpoint] = []
    if mirrored:
        mirrors: list[str | Mirror] = list(entry.mirrors)
        if domain in _HUB_NAMES:
            mirrors += settings.mirrors
        found = [_mirror(settings, mirror, path) for mirror in mirrors]
    if entry.fallback or not mirrored:
        host = HUB_HOST if domain in _HUB_NAMES else domain
        found.append(_endpoint(settings, host, _rewrite(entry.rewrite, path), entry, own=True))
    if not found:
        raise InvalidArgument(f"the settings leave no registry to ask for {domain}/{path}")
    return found


def _entry(settings: RegistrySettings, domain: str) -> RegistryEntry:
    names = _HUB_NAMES if domain in _HUB_NAMES else (domain,)
    for name in names:
        if name in settings.registries:
            return settings.registries[name]
    return settings.registries.get("*", _DEFAULT)


def _mirror(settings: RegistrySettings, mirror: str | Mirror, path: str) -> Endpoint:
    wanted = Mirror(mirror) if isinstance(mirror, str) else mirror
    url = urlsplit(wanted.url if "://" in wanted.url else f"https://{wanted.url}")
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment or url.username:
        raise InvalidArgument(f"invalid mirror: {wanted.url!r} is not a registry's URL")
    prefix = url.path.strip("/").removesuffix("v2").strip("/")
    repository = _rewrite(wanted.rewrite, path)
    repository = f"{prefix}/{repository}" if prefix else repository
    endpoint = _endpoint(settings, url.netloc, repository, _entry(settings, url.netloc), own=False)
    if url.scheme == "http":
        # Named with that scheme by whoever runs the engine.
        return Endpoint(
            host=endpoint.host, schemes=("http",), repository=repository, verified=False, own=False,
            entry=endpoint.entry,
        )  # fmt: skip
    return endpoint


def _endpoint(
    settings: RegistrySettings, host: str, repository: str, entry: RegistryEntry, *, own: bool
) -> Endpoint:
    insecure = entry.insecure or entry.plain_http or is_insecure(settings.insecure, host)
    # An authority that is named for a host is meant to be checked, also on loopback.
    verified = not insecure or (bool(entry.ca) and not entry.insecure and not entry.plain_http)
    schemes = ("https",) if verified else ("http",) if entry.plain_http else ("https", "http")
    return Endpoint(
        host=host, schemes=schemes, repository=repository, verified=verified, own=own, entry=entry
    )


def _rewrite(rules: dict[str, str], path: str) -> str:
    for pattern, replacement in rules.items():
        try:
            match = re.search(pattern, path)
            if match is not None:
                filled = re.sub(r"\$(\d)", r"\\\1", replacement)
                return path[: match.start()] + match.expand(filled) + path[match.end() :]
        except (re.error, IndexError) as error:
            raise InvalidArgument(f"invalid rewrite {pattern!r} -> {replacement!r}: {error}") from None
    return path


def is_insecure(named: list[str], host: str) -> bool:
    """Whether a host[:port] is on loopback or named: itself, without its port, or by its network."""
    bare = bare_host(host)
    if is_loopback(bare):
        return True
    for name in named:
        name = name.removeprefix("http://").removeprefix("https://").rstrip("/")
        if name in (host, bare):
            return True
        try:
            if ipaddress.ip_address(bare) in ipaddress.ip_network(name, strict=False):
                return True
        except ValueError:
            continue
    return False


def is_loopback(bare: str) -> bool:
    """Whether a host without port is this machine itself."""
    if bare == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def bare_host(host: str) -> str:
    """Return a host without its port and without the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") <= 1 else host
