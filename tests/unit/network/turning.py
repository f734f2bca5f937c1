"""Driving the porter's loop from a test: turn it until something is so."""

from __future__ import annotations

import time
from collections.abc import Callable

from lodge.network.loop import Loop


def turn_until(loop: Loop, so: Callable[[], bool], patience: float = 10.0) -> None:
    """Let the loop work until it is so; AssertionError when that takes too long."""
    deadline = time.monotonic() + patience
    while not so():
        assert time.monotonic() < deadline, "it did not come about"
        loop.later(0.005, lambda: None)
        loop.turn()


def turn_for(loop: Loop, seconds: float) -> None:
    """Let the loop work for a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        loop.later(0.005, lambda: None)
        loop.turn()
