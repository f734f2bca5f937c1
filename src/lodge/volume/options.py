"""Options of the driver `local`: which there are, and which need which. The words are Docker's.

`type`, `device` and `o` are those of mount(8): a tmpfs, a directory of the host (o=bind), an NFS or CIFS
share, a file system on a block device. `size` would be a quota, which this driver does not offer.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from lodge.errors import InvalidArgument

_KNOWN = ("type", "o", "device", "size")
_NEEDED = {"device": ("type",), "type": ("device",), "o": ("device", "type")}


def check_options(name: str, options: Mapping[str, str]) -> None:
    """InvalidArgument for options that are unknown, incomplete, or ask for a quota."""
    for option in options:
        if option not in _KNOWN:
            raise InvalidArgument(f'create {name}: invalid option: "{option}"')
    if options.get("type") == "cifs":
        _check_share(name, options.get("device", ""))
    if options.get("size", "0") not in ("", "0"):
        raise InvalidArgument(
            f"create {name}: quota size requested but no quota support",
            hint="leave the option size away; for a tmpfs give the size in the option o (o=size=64m)",
        )
    for option, needed in _NEEDED.items():
        for other in needed:
            if option in options and other not in options:
                raise InvalidArgument(f'create {name}: missing required option: "{other}"')


def _check_share(name: str, device: str) -> None:
    try:
        port = urlsplit(device).port
    except ValueError as error:
        raise InvalidArgument(f"create {name}: error parsing mount device url: {error}") from error
    if port is not None:
        raise InvalidArgument(f"create {name}: port not allowed in CIFS device URL, include 'port' in 'o='")
