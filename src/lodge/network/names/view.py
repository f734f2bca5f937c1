"""What a name server is told: who can be called what in a network, and what one sandbox sees of it."""

from __future__ import annotations

from msgspec import Struct


class Member(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An endpoint as the others of its network may call it.

    The first of `names` is the answer to a reverse look-up. Addresses as text, with or without "/length".
    """

    endpoint: str
    container: str
    names: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""


class Attachment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A network that a sandbox may ask about; `links` are its own words: alias to container id or name."""

    network: str
    name: str = ""
    links: dict[str, str] = {}


class Upstream(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A server for everything else, asked from the host's namespace or from `inside` the sandbox's."""

    address: str
    port: int = 53
    inside: bool = False


class View(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one sandbox sees.

    `networks` in the order in which they are asked. Without `external` (internal networks only) no upstream
    is asked from the host's namespace. `ndots`: somebody set that option, so that a name without dots is not
    forwarded but tried again by the client with a search domain.
    """

    networks: tuple[Attachment, ...] = ()
    upstreams: tuple[Upstream, ...] = ()
    external: bool = True
    ndots: bool = False
