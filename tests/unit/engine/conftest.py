"""A stage for networks without root."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine.hands import Nets, Play


@pytest.fixture
def play(tmp_path: Path) -> Play:
    def run(scene: Callable[[Nets], Coroutine[Any, Any, Any]], **given: Any) -> Any:
        async def whole() -> Any:
            nets = Nets(tmp_path, **given)
            try:
                return await asyncio.wait_for(scene(nets), 10)
            finally:
                nets.close()

        return asyncio.run(whole())

    return run
