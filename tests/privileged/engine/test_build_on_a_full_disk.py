"""A disk that fills up in the middle of a build: a clear failure, nothing left of it, and then it works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.errors import LodgeError
from lodge.kernel import mount
from tests.privileged.engine.building import building_engine


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount.mount("small", str(place), "tmpfs", 0, "size=48m")
    yield place
    mount.umount2(str(place), 0)


def test_a_build_fails_cleanly_and_the_next_works(small_disk: Path, busybox_image: Path) -> None:
    with building_engine(small_disk / "data", busybox_image) as engine:
        big = {"big": bytes(60 << 20)}
        with pytest.raises((LodgeError, OSError)):
            engine.images.build("FROM busybox\nCOPY big /\n", context=big)
        with pytest.raises(LodgeError):
            engine.images.build(
                "FROM busybox\nRUN dd if=/dev/zero of=/x bs=1M count=100 && false\n", network="none"
            )
        with pytest.raises(LodgeError):
            # It fits once and not twice: as files, and as a blob of the image.
            engine.images.build("FROM busybox\nRUN dd if=/dev/zero of=/x bs=1M count=26\n", network="none")
        assert engine.images.list()
        store = engine._engine.core.parts.store
        assert store.snapshots.walk() == []
        store.collect()
        store.trash.empty()
        built = engine.images.build("FROM busybox\nRUN echo small > /x\n", network="none")
        assert engine.run(built.id, ["cat", "/x"], network="none").text == "small\n"
