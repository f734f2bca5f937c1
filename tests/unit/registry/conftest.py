"""A registry over an empty directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.registry.serving import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    registry = Served(tmp_path / "registry")
    try:
        yield registry
    finally:
        registry.stop()
