"""A disk without a byte left: what is there can be read and removed, and then everything works again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from lodge.errors import LodgeError
from lodge.kernel import mount
from tests.privileged.engine.conftest import Scene, Stage


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount.mount("small", str(place), "tmpfs", 0, "size=24m")
    yield place
    mount.umount2(str(place), 0)


def fill(place: Path) -> None:
    with open(place / "filler", "wb") as file:
        try:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        except OSError:
            return


def test_a_container_can_be_removed(stage: Stage, small_disk: Path, busybox_image: Path) -> None:
    stage.settings = msgspec.structs.replace(stage.settings, data_root=str(small_disk / "data"))

    async def scene(on: Scene) -> None:
        with open(busybox_image, "rb") as archive:
            async for _ in await on.engine.images.load(archive, quiet=True):
                pass
        idle = await on.create("true", name="idle")
        running = await on.started(name="running")
        await asyncio.to_thread(fill, small_disk)
        with pytest.raises((LodgeError, OSError)):
            await asyncio.gather(*(on.create("true", name=f"more{number}") for number in range(500)))
        assert (await on.containers.get("running")).state.status == "running"
        await on.containers.remove(idle, force=False, volumes=False, link=False)
        await on.containers.remove(running, force=True, volumes=False, link=False)
        for resident in on.engine.parts.census:
            await on.containers.remove(resident.id, force=True, volumes=False, link=False)
        os.unlink(small_disk / "filler")
        assert await on.run("echo", "again") == (0, "again\n")

    stage.play(scene)
