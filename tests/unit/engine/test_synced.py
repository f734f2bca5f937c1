"""Trees of clients, kept up to date here: only what changed, nothing outside, nothing half."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lodge.engine.build.synced import KEPT, Entry, Incoming, Trees
from lodge.errors import Corrupt

DIRECTORY, FILE, LINK = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777


def entry(path: str, mode: int = FILE, *, size: int = 0, mtime: int = 10**18, link: str = "") -> Entry:
    return Entry(path, mode, size, mtime, link)


def bring(root: Path, entries: list[tuple[Entry, bytes]]) -> list[str]:
    """A whole transfer; gives the names whose contents were asked for."""
    incoming = Incoming(str(root))
    wanted = []
    for number, (each, content) in enumerate(entries):
        if incoming.take(each):
            wanted.append(each.path)
            incoming.begin(number, each)
            incoming.write(number, content[:2])
            incoming.write(number, content[2:]) if content[2:] else None
            incoming.write(number, b"")
    incoming.listed()
    incoming.finish()
    return wanted


def test_a_tree_comes_and_only_changes_come_again(tmp_path: Path) -> None:
    tree = [
        (entry("dir", DIRECTORY), b""),
        (entry("dir/a", size=5), b"hello"),
        (entry("dir/link", LINK, link="a"), b""),
        (entry("dir/same", link="dir/a"), b""),
        (entry("run", stat.S_IFREG | 0o755, size=1), b"x"),
    ]
    assert bring(tmp_path, tree) == ["dir/a", "run"]
    assert (tmp_path / "dir/a").read_bytes() == b"hello"
    assert (tmp_path / "dir/same").samefile(tmp_path / "dir/a")
    assert os.readlink(tmp_path / "dir/link") == "a"
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "dir").stat().st_mtime_ns == 10**18
    assert bring(tmp_path, tree) == []
    changed = [*tree[:1], (entry("dir/a", size=5, mtime=2 * 10**18), b"world")]
    assert bring(tmp_path, changed) == ["dir/a"]
    assert (tmp_path / "dir/a").read_bytes() == b"world"
    assert sorted(os.listdir(tmp_path)) == ["dir"]
    assert sorted(os.listdir(tmp_path / "dir")) == ["a"]


def test_a_kind_that_changed_is_replaced(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("kept")
    root = tmp_path / "root"
    root.mkdir()
    bring(root, [(entry("x", LINK, link=str(outside)), b"")])
    bring(root, [(entry("x", DIRECTORY), b""), (entry("x/keep", size=1), b"n")])
    assert (outside / "keep").read_text() == "kept"
    assert (root / "x").is_dir()
    bring(root, [(entry("x", size=1), b"f")])
    assert (root / "x").read_bytes() == b"f"


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "..", "a/../../b", "./a", "a//b", "a/", "a\0b", "a" * 5000]
)
def test_bad_names_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(Corrupt, match="bad name"):
        Incoming(str(tmp_path)).take(entry(path))


def test_nothing_goes_through_a_link_or_a_file(tmp_path: Path) -> None:
    incoming = Incoming(str(tmp_path))
    incoming.take(entry("out", LINK, link="/tmp"))
    with pytest.raises(Corrupt, match="before its directory"):
        incoming.take(entry("out/file"))
    with pytest.raises(Corrupt, match="before its directory"):
        incoming.take(entry("nowhere/file"))
    with pytest.raises(Corrupt, match="twice"):
        incoming.take(entry("out", LINK, link="/"))
    with pytest.raises(Corrupt, match="not listed before"):
        incoming.take(entry("hard", link="../../etc/passwd"))


def test_contents_that_nobody_asked_for(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="nobody asked"):
        Incoming(str(tmp_path)).write(3, b"x")


def test_a_transfer_that_broke_off_leaves_nothing_half(tmp_path: Path) -> None:
    incoming = Incoming(str(tmp_path))
    one = entry("one", size=100)
    assert incoming.take(one)
    incoming.begin(0, one)
    incoming.write(0, b"half")
    incoming.abort()
    assert os.listdir(tmp_path) == []


def test_trees_are_shared_over_time_and_never_at_once(tmp_path: Path) -> None:
    trees = Trees(str(tmp_path / "trees"))
    first = trees.take("me", "context")
    second = trees.take("me", "context")
    assert first.directory != second.directory
    first.close()
    first.close()
    again = trees.take("me", "context")
    assert again.directory == first.directory
    again.close()
    second.close()


def test_old_trees_go(tmp_path: Path) -> None:
    trees = Trees(str(tmp_path / "trees"))
    for number in range(KEPT + 5):
        trees.take(f"owner {number}", "context").close()
    left = [name for name in os.listdir(trees.root) if not name.endswith(".lock")]
    assert len(left) == KEPT
