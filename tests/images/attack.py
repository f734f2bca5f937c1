"""An attack on the engine, as an archive for `load`, with what must come of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NAME = "hostile:latest"
"""The name that every hostile image has."""


@dataclass(frozen=True)
class Attack:
    """A story with its archive.

    `refused`: whether loading must fail; None when either is right as long as the canary stays as it is.
    `starts`: whether a container of the image must start; None when either is right.
    """

    story: str
    archive: bytes
    refused: bool | None = None
    starts: bool | None = None


Make = Callable[[Path], Attack]
"""Makes an attack on the canary at the path."""
