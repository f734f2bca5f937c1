"""Networks as a picture: `text` for a terminal, `svg` for a page, both from what the API lists.

Pure, and the same picture for the same lists. `topology` reads the lists, `plain` and `vector` draw.
"""

from __future__ import annotations

from lodge.cli.drawing.plain import text as text
from lodge.cli.drawing.vector import svg as svg
