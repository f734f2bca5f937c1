"""The topology as SVG: a frame for the host, a band for each network, a card for each container in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from lodge.cli.drawing.topology import Json, Place, Segment, topology

_WIDTH = 980
_MARGIN = 24
_PADDING = 16
_CARD = 288
_GAP = 16
_LINE = 18
_COLUMNS = 3
_TITLE = 58
# Characters of the fixed-width font of 12 px that fit into a card.
_FITS = 36
_COLOURS = ("#2f6fed", "#0f9d76", "#b4690e", "#8e44ad", "#c0392b", "#16808f", "#5b6b2f", "#a23b72")
_QUIET = "#6b7280"
_KINDS = {"host": "the host's own network", "null": "no network"}

_STYLE = """
text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #1f2937 }
.title { font: 600 15px system-ui, sans-serif }
.name { font: 600 13px system-ui, sans-serif }
.note { fill: #6b7280 }
.frame { fill: #ffffff; stroke: #d1d5db }
.card { fill: #ffffff; stroke-width: 1.2 }
.port { fill: #eef2ff; stroke: #c7d2fe }
"""


def svg(networks: Iterable[Json], containers: Iterable[Json]) -> str:
    """A whole SVG document, with a line feed at its end."""
    segments = topology(networks, containers)
    colours = _colours(segments)
    body: list[str] = []
    top = _MARGIN + 44
    for segment in segments:
        height = _height(segment)
        body += _band(segment, top, height, colours)
        top += height + _GAP
    height = top + _MARGIN - _GAP + 8
    inner = _WIDTH - 2 * 8
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-label="Networks and containers">'
    )
    return "\n".join(
        [
            head,
            f"<style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#f3f4f6"/>',
            f'<rect class="frame" x="8" y="8" width="{inner}" height="{height - 16}" rx="14"/>',
            _text(_MARGIN, 38, "host", "title"),
            *body,
            "</svg>\n",
        ]
    )


def _colours(segments: Sequence[Segment]) -> dict[str, str]:
    linked = [segment.name for segment in segments if segment.driver not in _KINDS]
    return {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(linked)}


def _rows(segment: Segment) -> list[tuple[Place, ...]]:
    return [segment.places[first : first + _COLUMNS] for first in range(0, len(segment.places), _COLUMNS)]


def _card_height(place: Place) -> int:
    return 16 + _LINE * (1 + len(list(_facts(place)))) + 24 * len(place.ports)


def _height(segment: Segment) -> int:
    cards = sum(max(map(_card_height, row)) + _GAP for row in _rows(segment))
    return _TITLE + (_LINE if segment.rules else 0) + (cards or 8)


def _band(segment: Segment, top: int, height: int, colours: dict[str, str]) -> Iterator[str]:
    colour = colours.get(segment.name, _QUIET)
    width = _WIDTH - 2 * _MARGIN
    yield f'<g id="network-{escape(segment.name)}">'
    yield (
        f'<rect x="{_MARGIN}" y="{top}" width="{width}" height="{height}" rx="10" '
        f'fill="{colour}" fill-opacity="0.06" stroke="{colour}" stroke-opacity="0.45"/>'
    )
    yield f'<rect x="{_MARGIN}" y="{top}" width="6" height="{height}" rx="3" fill="{colour}"/>'
    left = _MARGIN + _PADDING + 4
    yield _text(left, top + 24, segment.name, "title")
    yield _text(left, top + 44, _description(segment), "note")
    below = top + _TITLE
    if segment.rules:
        yield _text(left, below + 4, "; ".join(segment.rules), "note")
        below += _LINE
    for row in _rows(segment):
        for number, place in enumerate(row):
            yield from _card(place, left + number * (_CARD + _GAP), below, colour, colours)
        below += max(map(_card_height, row)) + _GAP
    yield "</g>"


def _description(segment: Segment) -> str:
    if segment.driver in _KINDS:
        return _KINDS[segment.driver]
    blocks = [f"{subnet} via {gateway}" if gateway else subnet for subnet, gateway in segment.subnets]
    return "  ·  ".join(fact for fact in (segment.driver, segment.link, *blocks) if fact)


def _facts(place: Place) -> Iterator[str]:
    yield place.image
    yield from place.addresses
    if place.mac:
        yield place.mac
    if place.state != "running":
        yield place.state
    yield from (f"shared with {guest}" for guest in place.guests)


def _card(place: Place, left: int, top: int, colour: str, colours: dict[str, str]) -> Iterator[str]:
    yield (
        f'<rect class="card" x="{left}" y="{top}" width="{_CARD}" height="{_card_height(place)}" rx="8" '
        f'stroke="{colour}"/>'
    )
    yield _text(left + 14, top + 22, _short(place.name, 26), "name")
    # The other networks of a container, each by its colour.
    for number, other in enumerate(reversed(place.others)):
        yield (
            f'<circle cx="{left + _CARD - 16 - 16 * number}" cy="{top + 17}" r="5" '
            f'fill="{colours.get(other, _QUIET)}"><title>also in {escape(other)}</title></circle>'
        )
    below = top + 22
    for fact in _facts(place):
        below += _LINE
        yield _text(left + 14, below, _short(fact, _FITS), "note")
    below += 8
    for port in place.ports:
        width = 16 + 8 * min(len(port), _FITS)
        yield f'<rect class="port" x="{left + 12}" y="{below}" width="{width}" height="19" rx="9"/>'
        yield _text(left + 20, below + 14, _short(port, _FITS), "")
        below += 24


def _short(words: str, length: int) -> str:
    return words if len(words) <= length else words[: length - 1] + "…"


def _text(left: int, top: int, words: str, kind: str) -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f'<text{attribute} x="{left}" y="{top}">{escape(words)}</text>'
