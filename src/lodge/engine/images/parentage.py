"""Which image a committed or built image was made of: `Parent` in Docker's inspect.

No image format carries it, so it is a fact of this engine: kept in its rows as long as the image is here.
"""

from __future__ import annotations

from lodge.engine.state.rows import Rows

_PREFIX = "image-parent/"


class Parentage:
    """Image id to the id of the image it was made of."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._parents = {
            name.removeprefix(_PREFIX): value.decode() for name, value in rows.facts(_PREFIX).items()
        }

    def of(self, image: str) -> str:
        """The parent's id; "" when none is known."""
        return self._parents.get(image, "")

    def note(self, image: str, parent: str) -> None:
        """Remember a parent; an image that was made before keeps the one it has."""
        if image != parent and self._parents.setdefault(image, parent) == parent:
            self._rows.note(_PREFIX + image, parent.encode())

    def forget(self, image: str) -> None:
        """The image was removed."""
        if self._parents.pop(image, None) is not None:
            self._rows.forget(_PREFIX + image)
