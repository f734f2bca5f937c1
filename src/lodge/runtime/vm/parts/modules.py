"""Which modules of a kernel a machine needs, in the order in which they can be loaded.

Reads a kernel's module directory; what a module needs is said in the module itself (its .modinfo section), so
no depmod has to have run. Modules that the kernel has built in are left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from lodge.errors import NotFound, Unsupported

WANTED = (
    "virtio",
    "virtio_ring",
    "virtio_mmio",
    "virtio_pci",
    "virtio_console",
    "virtio_blk",
    "virtio_net",
    "virtio_balloon",
    "virtio_rng",
    "erofs",
    "overlay",
    "fuse",
)
# Only for machines with a PCI bus.
_OPTIONAL = frozenset({"virtio_pci", "virtio_rng", "virtio_balloon"})
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")
_COMPRESSED = (".ko.xz", ".ko.zst", ".ko.gz")


class Modules:
    """The modules below one directory, such as /lib/modules/6.1.0-1-cloud-amd64."""

    def __init__(self, directory: str) -> None:
        self._paths: dict[str, str] = {}
        self._builtin: set[str] = set()
        self._directory = directory
        for base, _, names in os.walk(os.path.join(directory, "kernel")):
            for name in names:
                stem = name.partition(".ko")[0]
                if stem != name:
                    self._paths[_plain(stem)] = os.path.join(base, name)
        try:
            with open(os.path.join(directory, "modules.builtin"), encoding="ascii") as file:
                self._builtin = {_plain(os.path.basename(line.strip())[: -len(".ko")]) for line in file}
        except FileNotFoundError:
            # Then a module that is missing is taken for missing.
            pass

    def in_order(self) -> list[str]:
        """The paths of all that a machine needs; Unsupported names what this kernel has not."""
        order: list[str] = []
        missing: list[str] = []
        for name in WANTED:
            if name in self._paths:
                self._add(name, order)
            elif name not in self._builtin and name not in _OPTIONAL:
                missing.append(name)
        if missing:
            raise Unsupported(
                f"the kernel of {self._directory} has no module {', '.join(missing)}",
                hint="lodge vm setup fetches one that has; or name another: --kernel FILE --modules DIR",
            )
        return order

    def _add(self, name: str, order: list[str]) -> None:
        path = self._paths.get(_plain(name))
        if path is None or path in order:
            return
        if path.endswith(_COMPRESSED):
            raise Unsupported(
                f"{path} is compressed, which a machine's first process can't load",
                hint="use a kernel with plain modules, such as Debian 12's cloud kernel",
            )
        for needed in _needs(path):
            self._add(needed, order)
        order.append(path)


def _needs(path: str) -> Iterator[str]:
    try:
        with open(path, "rb") as file:
            found = _DEPENDS.search(file.read())
    except FileNotFoundError:
        raise NotFound(f"no module {path}") from None
    for name in found[1].decode().split(",") if found else ():
        if name:
            yield name


def _plain(name: str) -> str:
    return name.replace("-", "_")
