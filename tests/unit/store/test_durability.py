import os
from pathlib import Path

import pytest

from lodge.store import durability
from lodge.store.durability import Durability, replace_file


def test_replaced_files_are_whole(tmp_path: Path) -> None:
    path = str(tmp_path / "f")
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert (tmp_path / "f").read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["f"]


def test_a_failed_replacement_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "f")
    replace_file(path, b"old")

    def full(fd: int) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        replace_file(path, b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_markers_come_before_and_go_after_the_sync(tmp_path: Path) -> None:
    made = Durability(str(tmp_path))
    made.announce(["a", "b"])
    assert len(os.listdir(tmp_path)) == 2
    made.placed(["a"])
    made.settle()
    assert [name.partition(".")[2] for name in os.listdir(tmp_path)] == ["b"]
    made.close()


def test_markers_of_this_boot_are_no_suspects(tmp_path: Path) -> None:
    first = Durability(str(tmp_path))
    first.announce(["a"])
    first.close()
    second = Durability(str(tmp_path))
    assert second.suspects() == []
    second.settle()
    second.close()
    assert os.listdir(tmp_path) == []


def test_markers_of_an_earlier_boot_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durability, "boot_id", lambda: "before-the-power-went")
    Durability(str(tmp_path)).announce(["a.b.c"])
    monkeypatch.undo()
    now = Durability(str(tmp_path))
    assert now.suspects() == ["a.b.c"]
    now.absolve("a.b.c")
    assert now.suspects() == []
    assert os.listdir(tmp_path) == []


def test_a_disk_that_refuses_keeps_the_markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Durability(str(tmp_path))
    made.announce(["a"])

    def broken(fd: int) -> None:
        raise OSError(5, "broken disk")

    with monkeypatch.context() as patched:
        patched.setattr(durability, "syncfs", broken)
        made._pending.add("a")
        with pytest.raises(OSError, match="broken disk"):
            made.settle()
        assert len(os.listdir(tmp_path)) == 1
    made.settle()
    assert os.listdir(tmp_path) == []
    made.close()


def test_things_that_come_together_are_marked_and_synced_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[str] = []
    monkeypatch.setattr(durability, "sync_directory", syncs.append)
    monkeypatch.setattr(Durability, "_start", lambda self: None)
    made = Durability(str(tmp_path))
    with made.together(["a", "b"]):
        assert len(os.listdir(tmp_path)) == 2
        for name in ("a", "b", "c"):
            made.announce([name])
            made.placed([name])
        made.settle()
        assert sorted(name.partition(".")[2] for name in os.listdir(tmp_path)) == ["a", "b"]
    assert len(syncs) == 2
    made.settle()
    assert os.listdir(tmp_path) == []
    made.close()
