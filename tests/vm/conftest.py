"""An engine with a kernel for machines, made once for the whole suite; skipped where its parts are missing.

Machines are slow to boot where the processor does not help: tests share them as far as they can.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from lodge.engine.engine import Engine
from tests.privileged.engine.conftest import Scene, Stage

PARTS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mkfs.erofs": "erofs-utils",
    "cc": "gcc",
    "apt-get": "apt",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only where machines can be made at all; the reason names the packages."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [package for program, package in PARTS.items() if shutil.which(program, path=path) is None]
    reason = f"needs {', '.join(missing)}" if missing else "needs root" if os.geteuid() else ""
    if reason:
        for item in items:
            if item.path.is_relative_to(Path(__file__).parent):
                item.add_marker(pytest.mark.skip(reason=reason))


class Street:
    """A stage on which containers live in houses."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.settings = stage.settings
        self.engine = stage.engine

    def play(self, act: Callable[[Scene], Coroutine[Any, Any, Any]], *, timeout: float = 120) -> Any:
        """Open an engine, play, remove every container, close."""
        return self._stage.play(act, timeout=timeout)


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """One data root for all tests, with a kernel and busybox."""
    stage = Stage(tmp_path_factory.mktemp("street"))

    async def furnish() -> None:
        engine = Engine(stage.settings)
        await engine.open()
        try:
            async for _ in await engine.machines.setup(kernel="", modules=""):
                pass
            async for _ in await engine.images.bootstrap("busybox", suite=None, mirror=None):
                pass
        finally:
            await engine.close()

    asyncio.run(furnish())
    yield Street(stage)
    stage.clear()
