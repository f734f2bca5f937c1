"""Fixtures that hand out images as files, and a place on the host that no image may touch."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.canary import Canary
from tests.images.ordinary import busybox_archive, busybox_layer


@pytest.fixture(scope="session")
def busybox_tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Busybox's file system as a tar: for bundles, `import`, and stores."""
    path = tmp_path_factory.mktemp("images") / "busybox-rootfs.tar"
    path.write_bytes(busybox_layer())
    return path


@pytest.fixture(scope="session")
def busybox_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """busybox:latest as a docker archive: for `load`."""
    path = tmp_path_factory.mktemp("images") / "busybox.tar"
    path.write_bytes(busybox_archive())
    return path


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    """A folder of the host that attacks aim at; the test fails if it was changed."""
    canary = Canary.make(tmp_path / "canary")
    yield canary
    assert canary.differences() == []
