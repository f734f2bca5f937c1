"""One mount, as stores and volumes hand it to the runtime: a value, performed by somebody else.

The names are those of the OCI runtime config's mounts; `spec.runtime.Mount` adds the destination.
"""

from __future__ import annotations

from msgspec import Struct


class Mount(Struct, frozen=True):
    """What mount(8) needs besides the place: a type, a source and options."""

    type: str
    source: str
    options: tuple[str, ...] = ()
