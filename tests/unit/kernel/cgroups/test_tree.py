"""Names of groups, and directories that are walked and removed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.kernel.cgroups import tree


@pytest.mark.parametrize(
    ("given_", "name"), [("/a/b", "/a/b"), ("a/b", "/a/b"), ("//a///b/", "/a/b"), ("a", "/a")]
)
def test_names_are_made_absolute(given_: str, name: str) -> None:
    assert tree.normalize(given_) == name


@pytest.mark.parametrize("name", ["", "/", "..", "/a/../b", "a/.", "a/\0", "a\n/b"])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="control group"):
        tree.normalize(name)


@given(st.text("/.ab", max_size=10))
def test_a_name_is_either_refused_or_stays_below(name: str) -> None:
    try:
        path = tree.normalize(name)
    except ValueError:
        return
    assert path.startswith("/")
    assert ".." not in path.split("/")
    assert tree.normalize(path) == path


@pytest.mark.parametrize(
    ("root", "path", "seen"),
    [
        ("/", "/a", "/a"),
        ("/docker/x", "/docker/x/a", "/a"),
        ("/docker/x", "/docker/x", "/"),
        ("/d", "/do", "/do"),
    ],
)
def test_what_a_mount_shows_of_a_path(root: str, path: str, seen: str) -> None:
    assert tree.below(root, path) == seen


def test_removal_takes_what_is_inside_with_it(tmp_path: Path) -> None:
    top = tmp_path / "group"
    (top / "a" / "b").mkdir(parents=True)
    (top / "c").mkdir()
    tree.remove(str(top))
    assert not top.exists()
    tree.remove(str(top))


def test_removal_of_a_busy_group_fails_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "_REMOVE_SECONDS", 0.01)
    (tmp_path / "group").mkdir()
    (tmp_path / "group" / "file").touch()
    with pytest.raises(OSError, match="not empty"):
        tree.remove(str(tmp_path / "group"))


def test_pids_of_a_tree(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "cgroup.procs").write_text("1\n0\n22\n")
    (tmp_path / "inner" / "cgroup.procs").write_text("3\n")
    assert tree.pids(str(tmp_path), recursive=False) == [1, 22]
    assert tree.pids(str(tmp_path), recursive=True) == [1, 22, 3]
    assert tree.pids(str(tmp_path / "gone"), recursive=True) == []
