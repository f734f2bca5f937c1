"""A library engine of a test file's own, with busybox in it, of which nothing is left in the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lodge


@contextmanager
def building_engine(data_root: Path, busybox: Path) -> Iterator[lodge.Engine]:
    name = f"lodge-test-{uuid.uuid4().hex[:8]}"
    settings = lodge.Settings(data_root=str(data_root), exec_root=f"/run/{name}", cgroup_parent=f"/{name}")
    try:
        with lodge.Engine(settings=settings) as engine:
            engine.images.load(str(busybox))
            yield engine
    finally:
        shutil.rmtree(settings.exec_root, ignore_errors=True)
        for directory, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
            if settings.cgroup_parent in directory:
                with contextlib.suppress(OSError):
                    os.rmdir(directory)
