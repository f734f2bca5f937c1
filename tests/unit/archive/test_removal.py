import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lodge.archive.removal import empty_directory, remove_large_tree, remove_tree


@pytest.fixture
def here(tmp_path: Path) -> int:
    return os.open(tmp_path, os.O_RDONLY)


def test_removes_files_links_and_trees(tmp_path: Path, here: int) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "x").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("kept")
    (tmp_path / "tree/a/b").mkdir(parents=True)
    (tmp_path / "tree/a/f").touch()
    (tmp_path / "tree/a/out").symlink_to(kept)
    os.mkfifo(tmp_path / "tree/pipe")
    for name in ("file", "link", "tree", "missing"):
        remove_tree(name, here)
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(kept) == ["x"]
    os.close(here)


@pytest.mark.parametrize("remove", [remove_tree, remove_large_tree])
def test_a_tree_of_any_depth_goes_with_few_descriptors(
    remove: Callable[[str, int], None], tmp_path: Path, here: int
) -> None:
    inner = os.dup(here)
    for _ in range(3000):
        os.mkdir("d", dir_fd=inner)
        deeper = os.open("d", os.O_RDONLY, dir_fd=inner)
        os.close(inner)
        inner = deeper
    os.close(os.open("f", os.O_CREAT, dir_fd=inner))
    os.close(inner)
    before = len(os.listdir("/proc/self/fd"))
    remove("d", here)
    assert os.listdir(tmp_path) == []
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(here)


def test_directories_that_forbid_everything(tmp_path: Path, here: int) -> None:
    (tmp_path / "shut/in").mkdir(parents=True)
    (tmp_path / "shut").chmod(0)
    remove_tree("shut", here)
    assert os.listdir(tmp_path) == []
    os.close(here)


def test_large_trees_go_with_several_threads(tmp_path: Path, here: int) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "x").touch()
    for n in range(300):
        (tmp_path / f"tree/a{n % 20}/b{n % 60}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"tree/a{n % 20}/b{n % 60}/f{n}").touch()
        (tmp_path / f"tree/f{n}").touch()
        (tmp_path / f"tree/l{n}").symlink_to(kept)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("kept")
    before = len(os.listdir("/proc/self/fd"))
    for name in ("tree", "file", "link", "missing"):
        remove_large_tree(name, here)
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(kept) == ["x"]
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(here)


def test_emptying_keeps_the_directory(tmp_path: Path, here: int) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "f").touch()
    empty_directory(here)
    assert os.listdir(tmp_path) == []
    os.close(here)
