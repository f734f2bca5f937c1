"""Modes as Go has them."""

from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.wire.modes import from_go, to_go


@pytest.mark.parametrize(
    ("mode", "go"),
    [
        (stat.S_IFREG | 0o644, 0o644),
        (stat.S_IFDIR | 0o1777, 1 << 31 | 1 << 20 | 0o777),
        (stat.S_IFLNK | 0o777, 1 << 27 | 0o777),
        (stat.S_IFREG | 0o4755, 1 << 23 | 0o755),
        (stat.S_IFCHR | 0o600, 1 << 26 | 1 << 21 | 0o600),
        (stat.S_IFBLK | 0o600, 1 << 26 | 0o600),
        (stat.S_IFIFO | 0o600, 1 << 25 | 0o600),
        (stat.S_IFSOCK | 0o2600, 1 << 24 | 1 << 22 | 0o600),
    ],
)
def test_modes_there_and_back(mode: int, go: int) -> None:
    assert to_go(mode) == go
    assert from_go(go) == mode


@given(st.integers(0, (1 << 32) - 1))
def test_any_number_is_a_mode(go: int) -> None:
    assert stat.S_IFMT(from_go(go))
    assert from_go(go) & 0o777 == go & 0o777
