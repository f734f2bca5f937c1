"""What the tests of this room stand on: servers that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lodge.http.limits import Limits
from lodge.http.server import Handler
from tests.unit.http.running import Running

Serve = Callable[..., Running]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    running: list[Running] = []

    def start(handler: Handler, **limits: object) -> Running:
        options: dict[str, object] = {"limits": Limits(**limits)} if limits else {}  # type: ignore[arg-type]
        running.append(Running(str(tmp_path / f"s{len(running)}"), handler, **options))
        return running[-1]

    yield start
    for one in running:
        one.stop()
