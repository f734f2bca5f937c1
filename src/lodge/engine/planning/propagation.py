"""Whether the mount that a bind's source lies on lets later mounts through, to the container or back."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lodge.engine.planning.mount_wishes import MountWish
from lodge.errors import InvalidArgument
from lodge.kernel.mount import Mount

_NEEDS = {
    "shared": (("shared:",), "shared mount"),
    "rshared": (("shared:",), "shared mount"),
    "slave": (("shared:", "master:"), "shared or slave mount"),
    "rslave": (("shared:", "master:"), "shared or slave mount"),
}


def needs_check(wish: MountWish) -> bool:
    """Whether it depends on the mount that the source lies on."""
    return wish.type == "bind" and wish.propagation in _NEEDS


def check(source: str, propagation: str, mounts: Sequence[Mount]) -> None:
    """InvalidArgument, in Docker's words, when it can't be; `source` without links, the host's mounts."""
    words, what = _NEEDS[propagation]
    covering = [mount for mount in mounts if _is_above(mount.mount_point, source)]
    if not covering:
        raise InvalidArgument(f"could not find the mount that {source} lies on")
    # Of several mounts on one point the last one counts.
    under = max(enumerate(covering), key=lambda item: (len(item[1].mount_point), item[0]))[1]
    if not any(field.startswith(words) for field in under.optional):
        raise InvalidArgument(f"path {source} is mounted on {under.mount_point} but it is not a {what}")


def _is_above(point: str, path: str) -> bool:
    return os.path.join(path, "").startswith(os.path.join(point, ""))
