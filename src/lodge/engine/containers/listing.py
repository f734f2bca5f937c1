"""Lists of containers by Docker's filters, the newest first. Pure, except for looking up images by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from lodge.engine.census import Census, Resident
from lodge.engine.filters import check_keys, flag, matches_labels
from lodge.engine.images.catalog import Catalog
from lodge.engine.lifecycle import STATUSES
from lodge.engine.models import Container
from lodge.errors import InvalidArgument, NotFound

_KNOWN = (
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
)
_HEALTHS = ("starting", "healthy", "unhealthy", "none")
_PORTS = re.compile(r"([0-9]+)(?:-([0-9]+))?(?:/([a-z]+))?")
Test = Callable[[Container], bool]


def select(
    census: Census, images: Catalog, *, all: bool, limit: int, filters: Mapping[str, Sequence[str]]
) -> list[Container]:
    """The containers that are wanted; InvalidArgument for an unknown filter or value."""
    check_keys(filters, _KNOWN)
    tests = [
        test for key, values in filters.items() if values for test in _tests(key, values, census, images)
    ]
    everybody = all or limit > 0 or bool({"status", "exited"} & set(filters)) or "before" in filters
    everybody = everybody or "since" in filters
    newest_first = sorted(census, key=lambda r: r.container.created_at, reverse=True)
    found: list[Container] = []
    for resident in newest_first:
        container = resident.container
        if (everybody or container.state.running) and _passes(container, tests):
            found.append(container)
            if limit > 0 and len(found) == limit:
                break
    return _named_now(found, images)


def _named_now(containers: list[Container], images: Catalog) -> list[Container]:
    """With the image's id where its name means another image by now, or none, as Docker lists them."""
    means: dict[str, str] = {}
    named: list[Container] = []
    for container in containers:
        name = container.image_name
        if name not in means:
            means[name] = _id_of(name, images)
        stale = container.image_id and means[name] != container.image_id
        named.append(
            msgspec.structs.replace(container, image_name=container.image_id) if stale else container
        )
    return named


def _id_of(name: str, images: Catalog) -> str:
    try:
        return images.find(name).image.id
    except (NotFound, InvalidArgument):
        return ""


def _passes(container: Container, tests: Sequence[Test]) -> bool:
    return not any(not test(container) for test in tests)


def _tests(key: str, values: Sequence[str], census: Census, images: Catalog) -> list[Test]:
    match key:
        case "label":
            return [lambda c: matches_labels(c.wish.config.labels or {}, values)]
        case "before":
            return [_older(census.find(values[-1]))]
        case "since":
            return [_newer(census.find(values[-1]))]
        case "is-task":
            wanted = flag({key: values}, key, False)
            return [lambda _: not wanted]
        case "isolation":
            return []
        case "ancestor":
            return [_ancestor(values, images)]
        case _:
            return [_SIMPLE[key](values)]


def _older(other: Resident) -> Test:
    return lambda c: c.created_at < other.container.created_at


def _newer(other: Resident) -> Test:
    return lambda c: c.created_at > other.container.created_at


def _ancestor(values: Sequence[str], images: Catalog) -> Test:
    ids = {_id_of(value, images) for value in values} - {""}
    return lambda c: c.image_id in ids


def _status(values: Sequence[str]) -> Test:
    for value in values:
        if value not in STATUSES:
            raise InvalidArgument(
                f"invalid filter 'status={value}': invalid value for state ({value}): must be one of"
                " created, running, paused, restarting, removing, exited, dead"
            )
    return lambda c: c.state.status in values


def _health(values: Sequence[str]) -> Test:
    for value in values:
        if value not in _HEALTHS:
            raise InvalidArgument(
                f"invalid filter 'health={value}': invalid value for health ({value}): must be one of"
                " none, starting, healthy, unhealthy"
            )
    return lambda c: (c.state.health.status if c.state.health else "none") in values


def _exited(values: Sequence[str]) -> Test:
    for value in values:
        if not value.lstrip("-").isdecimal():
            raise InvalidArgument(f"invalid filter 'exited={value}'")
    codes = {int(value) for value in values}
    return lambda c: c.state.exit_code in codes and not c.state.running and c.state.started_at > 0


def _name(values: Sequence[str]) -> Test:
    try:
        patterns = [re.compile(value) for value in values]
    except re.error:
        return lambda c: any(value in c.name for value in values)
    # Docker's names have a slash in front, and filters are written with and without it.
    return lambda c: any(p.search(c.name) or p.search("/" + c.name) for p in patterns)


def _volume(values: Sequence[str]) -> Test:
    return lambda c: any(v in (m.name, m.source, m.destination) for v in values for m in c.mounts if v)


def _network(values: Sequence[str]) -> Test:
    return lambda c: any(
        value == name or (one.network_id and one.network_id.startswith(value))
        for value in values
        if value
        for name, one in c.networks.items()
    )


def _exposed(values: Sequence[str]) -> Test:
    wanted = {port for value in values for port in _ports(value)}
    return lambda c: bool(wanted & set(c.wish.config.exposed_ports or {}))


def _published(values: Sequence[str]) -> Test:
    wanted = {port for value in values for port in _ports(value)}
    return lambda c: bool(wanted & set(c.wish.host.port_bindings or {}))


def _ports(text: str) -> list[str]:
    match = _PORTS.fullmatch(text)
    if not match:
        raise InvalidArgument(f"invalid port: {text}")
    first, last = int(match[1]), int(match[2] or match[1])
    if last > 65535 or last < first:
        raise InvalidArgument(f"invalid port range: {text}")
    return [f"{port}/{match[3] or 'tcp'}" for port in range(first, last + 1)]


_SIMPLE: dict[str, Callable[[Sequence[str]], Test]] = {
    "exited": _exited,
    "expose": _exposed,
    "health": _health,
    "id": lambda values: lambda c: any(c.id.startswith(value) for value in values),
    "name": _name,
    "network": _network,
    "publish": _published,
    "status": _status,
    "volume": _volume,
}
