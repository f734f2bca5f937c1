"""The topology as a tree of lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lodge.cli.drawing.topology import Json, Place, Segment, topology

_DESCRIPTIONS = {"host": "the host's own network", "null": "no network"}


def text(networks: Iterable[Json], containers: Iterable[Json]) -> str:
    """The picture, with a line feed at its end."""
    segments = topology(networks, containers)
    return "\n".join(["host", *_tree([list(_segment(one)) for one in segments])]) + "\n"


def _tree(branches: Sequence[Sequence[str]]) -> Iterator[str]:
    """Branches below a trunk: the first line of each hangs on it, the others are below that."""
    for number, lines in enumerate(branches):
        last = number == len(branches) - 1
        yield ("└── " if last else "├── ") + lines[0]
        yield from (("    " if last else "│   ") + line for line in lines[1:])


def _segment(segment: Segment) -> Iterator[str]:
    if segment.driver in _DESCRIPTIONS:
        yield f"{segment.name}: {_DESCRIPTIONS[segment.driver]}"
    else:
        link = f" {segment.link}" if segment.link else ""
        yield f"{segment.name}: {segment.driver}{link}{_blocks(segment)}"
    if segment.places and segment.rules:
        yield from (f"│   {rule}" for rule in segment.rules)
    else:
        yield from (f"    {rule}" for rule in segment.rules)
    width = max((len(place.name) for place in segment.places), default=0)
    yield from _tree([list(_place(place, width)) for place in segment.places])


def _blocks(segment: Segment) -> str:
    shown = [f"{subnet} (gateway {gateway})" if gateway else subnet for subnet, gateway in segment.subnets]
    return ", " + ", ".join(shown) if shown else ""


def _place(place: Place, width: int) -> Iterator[str]:
    facts = [place.name.ljust(width), " ".join(place.addresses)]
    if place.state != "running":
        facts.append(f"({place.state})")
    if place.others:
        facts.append("also in " + ", ".join(place.others))
    yield "  ".join(fact for fact in facts if fact).rstrip()
    margin = " " * (width + 2)
    yield from (margin + port for port in place.ports)
    yield from (f"{margin}shared with {guest}" for guest in place.guests)
