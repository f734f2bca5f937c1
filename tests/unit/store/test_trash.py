import errno
import os
from pathlib import Path

import pytest

from lodge.store.trash import Trash


def test_thrown_things_are_gone_at_once_and_deleted_soon(tmp_path: Path) -> None:
    trash = Trash(str(tmp_path / "trash"))
    (tmp_path / "tree/a").mkdir(parents=True)
    (tmp_path / "tree/a/f").touch()
    (tmp_path / "file").touch()
    assert trash.throw(str(tmp_path / "tree"))
    assert trash.throw(str(tmp_path / "file"))
    assert not trash.throw(str(tmp_path / "missing"))
    assert os.listdir(tmp_path) == ["trash"]
    trash.wait()
    assert os.listdir(tmp_path / "trash") == []
    trash.close()


def test_what_a_crash_left_goes_with_the_next_empty(tmp_path: Path) -> None:
    (tmp_path / "trash/left/over").mkdir(parents=True)
    trash = Trash(str(tmp_path / "trash"))
    trash.empty()
    trash.wait()
    assert os.listdir(tmp_path / "trash") == []


def test_on_a_full_disk_it_deletes_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trash = Trash(str(tmp_path / "trash"))
    (tmp_path / "tree/a").mkdir(parents=True)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "rename", full)
    assert trash.throw(str(tmp_path / "tree"))
    assert not (tmp_path / "tree").exists()


def test_failures_are_remembered_and_do_not_stop_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lodge.store import trash as module

    real = module.remove_large_tree

    def picky(name: str, directory: int) -> None:
        if "bad" in name:
            raise OSError(errno.EBUSY, "busy")
        real(name, directory)

    monkeypatch.setattr(module, "remove_large_tree", picky)
    trash = Trash(str(tmp_path / "trash"))
    for name in ("bad", "good"):
        (tmp_path / name).mkdir()
        trash.throw(str(tmp_path / name))
    trash.wait()
    assert [name.rpartition("-")[2] for name in os.listdir(tmp_path / "trash")] == ["bad"]
    assert trash.failures[0].errno == errno.EBUSY
