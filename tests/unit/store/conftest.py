"""A store in a temporary directory, and archives to load into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.store import Store
from tests.unit.store.making import may_unpack


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    if not may_unpack(tmp_path):
        pytest.skip("this user can't make overlay's whiteouts here")
    with Store(tmp_path / "root", snapshotter="copy") as made:
        yield made
