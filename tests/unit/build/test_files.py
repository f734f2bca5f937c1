"""Selecting, digesting and placing files: trees in a temporary directory, seen through the store's view."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lodge.build.files.digest import FileDigests, content_digest
from lodge.build.files.modes import Mode
from lodge.build.files.place import Copier, Layer
from lodge.build.files.select import Selection
from lodge.build.files.view import resolve
from lodge.errors import Conflict, NotFound
from lodge.store.merged import Merged

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners are given")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    for path in ("a/one.txt", "a/b/two.txt", "a/skip.bak", "c.txt", "d.txt"):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
        os.utime(file, (1000, 1000))
    (root / "link").symlink_to("a")
    (root / "out").symlink_to("/etc/passwd")
    (root / "up").symlink_to("../../../../../../etc/passwd")
    return root


@pytest.fixture
def base(tmp_path: Path) -> Path:
    root = tmp_path / "base"
    (root / "usr/bin").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    (root / "private").mkdir(mode=0o700)
    os.chown(root / "private", 5, 6)
    (root / "file").write_text("old")
    return root


def copy(
    context: Path, base: Path, top: Path, sources: tuple[str, ...], target: str, *,
    mode: str = "", ids: tuple[int, int] | None = (0, 0), ignore: tuple[str, ...] = (),
    excludes: tuple[str, ...] = (), parents: bool = False,
) -> dict[str, str]:  # fmt: skip
    """Copy, and tell what the layer holds: paths with their kinds or contents."""
    top.mkdir(exist_ok=True)
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with Merged([str(context)]) as view, Merged([str(base)]) as below, Layer(fd, below) as layer:
            selection = Selection(view, ignore=ignore, excludes=excludes, parents=parents)
            copier = Copier(view, layer, ids=ids, mode=Mode(mode) if mode else None)
            roots = selection.roots(sources)
            for root in roots:
                copier.copy(root, selection, target, into=len(roots) > 1 or parents)
    finally:
        os.close(fd)
    return holds(top)


def holds(top: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = "/" if path.is_dir() else path.read_text() if path.is_file() else "?"
    return found


def test_a_directory_gives_its_contents(context: Path, base: Path, tmp_path: Path) -> None:
    assert copy(context, base, tmp_path / "top", ("a",), "/x") == {
        "x": "/", "x/b": "/", "x/b/two.txt": "a/b/two.txt", "x/one.txt": "a/one.txt",
        "x/skip.bak": "a/skip.bak",
    }  # fmt: skip


def test_a_file_goes_to_a_name_or_into_a_directory(context: Path, base: Path, tmp_path: Path) -> None:
    assert copy(context, base, tmp_path / "1", ("c.txt",), "/new") == {"new": "c.txt"}
    assert copy(context, base, tmp_path / "2", ("c.txt",), "/new/") == {"new": "/", "new/c.txt": "c.txt"}
    assert copy(context, base, tmp_path / "3", ("c.txt",), "/usr") == {"usr": "/", "usr/c.txt": "c.txt"}
    assert copy(context, base, tmp_path / "4", ("c.txt",), "/file") == {"file": "c.txt"}


def test_wildcards_and_exclusions(context: Path, base: Path, tmp_path: Path) -> None:
    assert copy(context, base, tmp_path / "1", ("?.txt",), "/w/") == {
        "w": "/", "w/c.txt": "c.txt", "w/d.txt": "d.txt",
    }  # fmt: skip
    found = copy(context, base, tmp_path / "2", ("a",), "/x", excludes=("*.bak", "b"))
    assert found == {"x": "/", "x/one.txt": "a/one.txt"}


def test_what_is_ignored_is_not_there(context: Path, base: Path, tmp_path: Path) -> None:
    found = copy(context, base, tmp_path / "1", (".",), "/x/", ignore=("a", "!a/b/two.txt", "*.txt", "l*"))
    assert found == {
        "x": "/", "x/a": "/", "x/a/b": "/", "x/a/b/two.txt": "a/b/two.txt", "x/out": "-> /etc/passwd",
        "x/up": "-> ../../../../../../etc/passwd",
    }  # fmt: skip
    with pytest.raises(NotFound, match=r'"/c\.txt": not found'):
        copy(context, base, tmp_path / "2", ("c.txt",), "/x/", ignore=("*.txt",))


def test_parents_keep_paths_from_the_pivot_on(context: Path, base: Path, tmp_path: Path) -> None:
    assert copy(context, base, tmp_path / "1", ("a/b/two.txt",), "/p/", parents=True) == {
        "p": "/", "p/a": "/", "p/a/b": "/", "p/a/b/two.txt": "a/b/two.txt",
    }  # fmt: skip
    assert copy(context, base, tmp_path / "2", ("a/./b/two.txt",), "/p/", parents=True) == {
        "p": "/", "p/b": "/", "p/b/two.txt": "a/b/two.txt",
    }  # fmt: skip
    assert "p/a/b/two.txt" in copy(context, base, tmp_path / "3", ("**/*.txt",), "/p/", parents=True)


@pytest.mark.parametrize(
    "source", ["../base/file", "/../base/file", "out", "up", "link/../../base/file", "x/../out"]
)
def test_no_source_leads_out_of_the_context(context: Path, base: Path, tmp_path: Path, source: str) -> None:
    with pytest.raises(NotFound):
        copy(context, base, tmp_path / "top", (source,), "/x")
    assert holds(tmp_path / "top") == {}


def test_links_of_the_base_lead_inside_it(context: Path, base: Path, tmp_path: Path) -> None:
    (base / "evil").symlink_to("../../../../../../tmp")
    found = copy(context, base, tmp_path / "top", ("c.txt",), "/bin/")
    assert found == {"usr": "/", "usr/bin": "/", "usr/bin/c.txt": "c.txt"}
    assert copy(context, base, tmp_path / "2", ("c.txt",), "/evil/") == {"tmp": "/", "tmp/c.txt": "c.txt"}


def test_a_link_in_the_way_of_a_copied_directory_is_refused(
    context: Path, base: Path, tmp_path: Path
) -> None:
    (context / "tree/bin").mkdir(parents=True)
    (context / "tree/bin/x").write_text("x")
    with pytest.raises(Conflict, match="cannot copy to non-directory: /bin"):
        copy(context, base, tmp_path / "top", ("tree",), "/")


def test_directories_of_the_base_keep_what_they_are(context: Path, base: Path, tmp_path: Path) -> None:
    copy(context, base, tmp_path / "top", ("c.txt",), "/private/", ids=(1, 2), mode="640")
    private, file = (tmp_path / "top/private").stat(), (tmp_path / "top/private/c.txt").stat()
    assert (stat.S_IMODE(private.st_mode), private.st_uid, private.st_gid) == (0o700, 5, 6)
    assert (stat.S_IMODE(file.st_mode), file.st_uid, file.st_gid, file.st_mtime) == (0o640, 1, 2, 1000)


def test_owners_stay_or_are_given(context: Path, base: Path, tmp_path: Path) -> None:
    os.chown(context / "c.txt", 7, 8)
    copy(context, base, tmp_path / "1", ("c.txt",), "/x", ids=None)
    assert (tmp_path / "1/x").stat().st_uid == 7
    copy(context, base, tmp_path / "2", ("c.txt",), "/x", ids=(0, 0))
    assert (tmp_path / "2/x").stat().st_uid == 0


def test_hard_links_and_devices_are_made_again(context: Path, base: Path, tmp_path: Path) -> None:
    os.link(context / "c.txt", context / "same.txt")
    os.mkfifo(context / "pipe")
    copy(context, base, tmp_path / "top", (".",), "/x/")
    assert (tmp_path / "top/x/c.txt").stat().st_ino == (tmp_path / "top/x/same.txt").stat().st_ino
    assert stat.S_ISFIFO((tmp_path / "top/x/pipe").stat().st_mode)


def digest(context: Path, *sources: str) -> str:
    with Merged([str(context)]) as view:
        return content_digest(view, Selection(view), sources, FileDigests())


def test_a_digest_is_of_contents_modes_and_names_and_not_of_times(context: Path) -> None:
    before = digest(context, ".")
    os.utime(context / "c.txt", (5000, 5000))
    assert digest(context, ".") == before
    (context / "c.txt").chmod(0o600)
    changed = digest(context, ".")
    assert changed != before
    (context / "a/new").touch()
    assert digest(context, ".") != changed
    assert digest(context, "d.txt") == digest(context, "d.txt")


def test_files_are_read_again_only_when_they_changed(context: Path) -> None:
    digests = FileDigests()
    with Merged([str(context)]) as view:
        first = content_digest(view, Selection(view), (".",), digests)
        known = dict(digests._known)
        assert content_digest(view, Selection(view), (".",), digests) == first
        assert digests._known == known
    (context / "d.txt").write_text("other")
    with Merged([str(context)]) as view:
        assert content_digest(view, Selection(view), (".",), digests) != first


def test_paths_are_resolved_inside(base: Path) -> None:
    (base / "loop").symlink_to("loop")
    (base / "chain").symlink_to("/bin/../../../bin")
    with Merged([str(base)]) as view:
        assert resolve(view, b"bin/x") == b"usr/bin/x"
        assert resolve(view, b"chain") == b"usr/bin"
        assert resolve(view, b"chain", last=False) == b"chain"
        assert resolve(view, b"../../etc") == b"etc"
        with pytest.raises(OSError, match="Too many levels"):
            resolve(view, b"loop/x")
