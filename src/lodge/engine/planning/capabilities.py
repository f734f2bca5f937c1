"""Which capabilities a program gets: Docker's set, changed by --cap-add, --cap-drop and --privileged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lodge.engine.planning.defaults import CAPABILITIES
from lodge.errors import InvalidArgument
from lodge.kernel.capabilities import NAMES
from lodge.spec.runtime import CapabilitySets

ALL = "ALL"


def normalise(names: Iterable[str] | None, known: Sequence[str], field: str) -> list[str]:
    """The names with their prefix, in capitals; ALL stays ALL. InvalidArgument names the field."""
    found: list[str] = []
    for name in names or ():
        upper = name.upper()
        if upper == ALL:
            found.append(ALL)
            continue
        full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
        if full not in NAMES:
            raise InvalidArgument(f'invalid {field}: unknown capability: "{full}"')
        if full not in known:
            raise InvalidArgument(
                f"invalid {field}: capability not supported by your kernel or not available in the current"
                f' environment: "{full}"'
            )
        found.append(full)
    return found


def chosen(
    add: Iterable[str] | None, drop: Iterable[str] | None, *, privileged: bool, known: Sequence[str]
) -> list[str]:
    """The capabilities of a container's program. `known` are those of the running kernel."""
    if privileged:
        return list(known)
    added, dropped = normalise(add, known, "CapAdd"), normalise(drop, known, "CapDrop")
    if ALL in added:
        return [name for name in known if name not in dropped]
    if ALL in dropped:
        return list(dict.fromkeys(added))
    kept = [name for name in CAPABILITIES if name not in dropped]
    return list(dict.fromkeys(kept + added))


def sets(names: list[str]) -> CapabilitySets:
    """The sets of a program that runs as root; for others the runtime clears what execve would clear."""
    return CapabilitySets(bounding=names, effective=names, permitted=names)
