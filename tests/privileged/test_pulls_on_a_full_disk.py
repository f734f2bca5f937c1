"""A disk that fills up in a pull: a clear error, nothing half there, what is verified is kept."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.distribution.registries import Registries
from lodge.distribution.settings import RegistrySettings
from lodge.errors import Exhausted
from lodge.spec.digest import Digest
from lodge.store import Store
from tests.registries.scripted import Scripted, scripted
from tests.unit.distribution.images import Image, layer
from tests.unit.distribution.test_pulling import Client

SMALL = 4 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    where = tmp_path / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "small", where], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)


@pytest.fixture
def registry() -> Iterator[Scripted]:
    with scripted() as made:
        yield made


def test_a_disk_that_fills_up_half_way(small_disk: Path, registry: Scripted) -> None:
    little, much = layer("little", b"x" * 1000), layer("much", random.Random(1).randbytes(SMALL))
    image = Image([little, much])
    image.publish(registry, "a/b", "latest")
    with (
        Store(small_disk / "root", snapshotter="copy") as store,
        Registries(RegistrySettings(certificate_directories=())) as registries,
    ):
        client = Client(registries, store, registry)
        with pytest.raises(Exhausted, match="no space left on the disk of the data root"):
            client.pull()
        client.nothing_is_named()
        # The first layer may have its place already; nothing half unpacked has one.
        first = image.config["rootfs"]["diff_ids"][0].partition(":")[2]
        assert set(os.listdir(os.path.join(store.root, "layers"))) <= {".staging", first}
        assert not store.content.exists(Digest(image.layers[1]["digest"]))
        subprocess.run(["mount", "-o", f"remount,size={8 * SMALL}", small_disk], check=True)
        kept = [one["digest"] for one in image.layers if store.content.exists(Digest(one["digest"]))]
        registry.asked.clear()
        client.holds(client.pull(), "little", "much")
        assert not any(one for digest in kept for one in registry.of("GET", digest))
        client.transfers.close()


def test_a_decompression_bomb_fills_no_memory_and_leaves_nothing(
    small_disk: Path, registry: Scripted
) -> None:
    bomb = layer("zeros", bytes(64 << 20))
    image = Image([bomb])
    assert len(image.blobs[0]) < SMALL // 4
    image.publish(registry, "a/b", "latest")
    with (
        Store(small_disk / "root", snapshotter="copy") as store,
        Registries(RegistrySettings(certificate_directories=())) as registries,
    ):
        client = Client(registries, store, registry)
        with pytest.raises(Exhausted, match="no space left on the disk of the data root"):
            client.pull()
        client.nothing_is_named()
        client.transfers.close()
        assert os.listdir(os.path.join(store.root, "layers", ".staging")) == []
