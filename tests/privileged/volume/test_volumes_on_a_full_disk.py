"""hostile.md row 33: with no byte left, volumes stay readable, new ones are refused, old ones can go."""

import os
from pathlib import Path

import pytest

from lodge.errors import Exhausted
from lodge.kernel import mount as m
from lodge.volume import VolumeStore
from tests.privileged.kernel.isolation import isolated


def fill(path: str) -> None:
    """Write until there is no room for one more page, which is an OSError."""
    with open(path, "wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def test_a_disk_without_a_byte(tmp_path: Path) -> None:
    def work() -> None:
        m.mount("tmpfs", str(tmp_path), "tmpfs", 0, "size=256k")
        store = VolumeStore(tmp_path / "volumes")
        old = store.create("old", labels={"a": "b"})
        with pytest.raises(OSError, match="No space"):
            fill(f"{old.mountpoint}/big")
        with pytest.raises(Exhausted, match="no space left"):
            store.create("new")
        assert os.listdir(tmp_path / "volumes") == ["old"]
        assert VolumeStore(tmp_path / "volumes").get("old") == old
        store.remove("old")
        assert os.listdir(tmp_path / "volumes") == []
        store.create("new")

    isolated(work)


def test_a_volume_shown_by_its_mount(tmp_path: Path) -> None:
    store = VolumeStore(tmp_path / "volumes")
    store.create("data")
    store.create("memory", options={"type": "tmpfs", "device": "tmpfs", "o": "size=64k,mode=700"})
    (tmp_path / "place").mkdir()

    def show(name: str) -> str:
        mount = store.mount(name)
        parsed = m.parse_options(mount.options)
        m.mount(mount.source, str(tmp_path / "place"), mount.type, parsed.flags, parsed.data)
        (tmp_path / "place" / "file").write_text(name)
        return [entry.fstype for entry in m.mountinfo() if entry.mount_point.endswith("/place")][-1]

    isolated(lambda: show("data"))
    assert isolated(lambda: show("memory")) == "tmpfs"
    assert Path(store.get("data").mountpoint, "file").read_text() == "data"
    assert os.listdir(store.get("memory").mountpoint) == []
