"""Modes as Go has them."""

from __future__ import annotations

import stat

import pytest

from lodge.engine.containers.files import go_mode


@pytest.mark.parametrize(
    ("mode", "go"),
    [
        (stat.S_IFREG | 0o644, 0o644),
        (stat.S_IFDIR | 0o1777, 1 << 31 | 1 << 20 | 0o777),
        (stat.S_IFLNK | 0o777, 1 << 27 | 0o777),
        (stat.S_IFREG | 0o4755, 1 << 23 | 0o755),
        (stat.S_IFCHR | 0o600, 1 << 26 | 1 << 21 | 0o600),
    ],
)
def test_modes(mode: int, go: int) -> None:
    assert go_mode(mode) == go
