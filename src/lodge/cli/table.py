"""Columns of text, in the widths of Docker's tables."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def align(lines: Iterable[str], *, least: int = 10, gap: int = 3) -> str:
    """Lines of tab-separated cells with their columns aligned: `least` wide at least, `gap` between two.

    The last cell of a line is not padded, and does not count for a column's width.
    """
    rows = [line.split("\t") for line in lines]
    widths: list[int] = []
    for row in rows:
        for position, cell in enumerate(row[:-1]):
            if position == len(widths):
                widths.append(least)
            widths[position] = max(widths[position], len(cell) + gap)
    text = []
    for row in rows:
        cells = [cell.ljust(widths[position]) for position, cell in enumerate(row[:-1])]
        text.append("".join((*cells, row[-1])) + "\n")
    return "".join(text)
