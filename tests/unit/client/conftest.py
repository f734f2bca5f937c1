"""What the tests of this room stand on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.fake_engine import FakeEngine, fake_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with fake_engine(tmp_path) as server:
        yield server
