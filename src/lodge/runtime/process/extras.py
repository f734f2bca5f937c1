"""What the engine asks of a dwelling beyond an OCI runtime config.

A value beside the config (`extras.json` in the bundle), not annotations in it, so that nothing an image can
write ends up here. All of it needs the container's own files, so the init does it, inside the root.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct


class CopyUp(Struct, frozen=True, rename="camel"):
    """Fill an empty volume, before it covers `destination`, with what the image has there.

    `source` is the volume's directory on the host. A volume that has any entry is left as it is.
    """

    destination: str
    source: str


class Extras(Struct, frozen=True, rename="camel", omit_defaults=True):
    """Docker's wishes for a process, resolved in the container.

    `user` is Docker's user string (`name`, `uid`, `name:group`, `uid:gid`), None to use the config's numbers;
    `groups` are further groups by name or number. `copy_up` runs before the mounts. With `reaper` the program
    is not process 1 but its only child: process 1 passes signals on and collects orphans (docker run --init).
    """

    user: str | None = None
    groups: tuple[str, ...] = ()
    copy_up: tuple[CopyUp, ...] = ()
    reaper: bool = False


_decoder = msgspec.json.Decoder(Extras)


def decode_extras(text: bytes) -> Extras:
    """Read `extras.json`; msgspec.ValidationError names the wrong field."""
    return _decoder.decode(text)
