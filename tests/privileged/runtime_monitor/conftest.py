"""Containers of the wing `process` under real monitors."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.runtime.launcher import Launcher
from tests.contract.runtime.conftest import House, engine_directory, launcher, rootfs

__all__ = ["engine_directory", "launcher", "rootfs"]


@pytest.fixture
def house(tmp_path: Path, rootfs: Path, launcher: Launcher) -> Iterator[House]:
    """Containers on the host's kernel."""
    house = House("ahead", tmp_path, rootfs, launcher)
    yield house
    house.close()
