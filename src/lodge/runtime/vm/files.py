"""Which files of the host a machine gets.

The image's layers, the container's own files, its volumes and binds.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from lodge.errors import StartFailed, Unsupported
from lodge.kernel import mount as m
from lodge.runtime.vm.setup import is_bind
from lodge.runtime.vm.shares.serve import Share
from lodge.spec.mount import Mount as RootMount
from lodge.spec.runtime import RuntimeConfig

_PATH = os.O_PATH | os.O_CLOEXEC


class Files:
    """Read from what the store and the engine say; `open` opens it.

    `layers` are the image's directories, uppermost first; `upper` and `work` the container's own, None for a
    container that can't write; `numbers` the names under which bind sources are served.
    """

    def __init__(self, config: RuntimeConfig, root_mounts: Sequence[RootMount]) -> None:
        options = _overlay_options(root_mounts)
        self.upper = options.get("upperdir")
        self._work = options.get("workdir")
        self.layers = (
            options["lowerdir"].split(":") if "lowerdir" in options else [_plain_root(config, root_mounts)]
        )
        self.numbers: dict[str, int] = {}
        self._writable: dict[str, bool] = {}
        for mount in config.mounts:
            if is_bind(mount):
                self.numbers.setdefault(mount.source, len(self.numbers))
                read_only = bool(m.parse_options(mount.options).flags & m.MS_RDONLY)
                self._writable[mount.source] = self._writable.get(mount.source, False) or not read_only

    def open(self) -> tuple[list[Share], list[Share]]:
        """The container's own directories, and its shares; StartFailed for one that is missing."""
        own: list[Share] = []
        shares: list[Share] = []
        try:
            if self.upper is not None and self._work is not None:
                own += [Share("upper", _open(self.upper)), Share("work", _open(self._work))]
            for source, number in self.numbers.items():
                shares.append(Share(str(number), _open(source), self._writable[source]))
        except BaseException:
            for share in (*own, *shares):
                os.close(share.fd)
            raise
        return own, shares


def _open(path: str) -> int:
    try:
        return os.open(path, _PATH)
    except OSError as error:
        raise StartFailed(f"error mounting {path!r}: {error.strerror}") from error


def _overlay_options(root_mounts: Sequence[RootMount]) -> dict[str, str]:
    for mount in root_mounts:
        if mount.type == "overlay":
            return dict(option.partition("=")[::2] for option in mount.options)
    return {}


def _plain_root(config: RuntimeConfig, root_mounts: Sequence[RootMount]) -> str:
    for mount in root_mounts:
        if mount.type == "bind":
            return mount.source
    if root_mounts or config.root is None or not config.root.path:
        raise Unsupported("a machine needs an image of layers, or a directory, as its root")
    return config.root.path
