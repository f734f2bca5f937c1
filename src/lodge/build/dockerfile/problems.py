"""What is wrong with a Dockerfile, and where."""

from __future__ import annotations

from lodge.errors import InvalidArgument

Lines = tuple[int, int]
"""The first and the last line of something, from 1."""


class DockerfileError(InvalidArgument):
    """The text, or one instruction of it, can't be built. `lines` and `filename` say where, once known.

    `what` is the message without the place.
    """

    def __init__(
        self, message: str, *, lines: Lines | None = None, hint: str | None = None, column: int = 0
    ) -> None:
        super().__init__(message, hint=hint)
        self.what = message
        self.column = column
        self.filename = ""
        self.lines: Lines | None = None
        if lines is not None:
            self.at(lines)

    def at(self, lines: Lines) -> DockerfileError:
        """The same error, placed unless it was placed before."""
        if self.lines is None:
            self.lines = lines
            self.message = f"dockerfile parse error on line {lines[0]}: {self.what}"
        return self


def nearest(word: str, known: tuple[str, ...]) -> str:
    """The known word that was probably meant; "" when none is near."""
    # Here, for it is needed after a mistake only.
    from difflib import get_close_matches

    found = get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else ""
