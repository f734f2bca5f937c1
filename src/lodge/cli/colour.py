"""A little colour for people: only at a terminal, and never when NO_COLOR is set (no-color.org)."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

BOLD, DIM, CYAN = "1", "2", "36"


def wanted(stream: TextIO) -> bool:
    """Whether `stream` shows colours, and its reader wants them."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb" and stream.isatty()


def paint(text: str, style: str, stream: TextIO) -> str:
    """`text` in `style` for `stream`, or as it is."""
    return f"\x1b[{style}m{text}\x1b[0m" if text and wanted(stream) else text
