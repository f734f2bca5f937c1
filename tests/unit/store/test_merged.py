import os
import stat
from pathlib import Path

import pytest

from lodge.store.merged import Merged


@pytest.fixture
def layers(tmp_path: Path) -> list[str]:
    """Three layers, the top first."""
    top, middle, base = (tmp_path / name for name in ("top", "middle", "base"))
    for path in (
        top / "d",
        middle / "d/inner",
        base / "d/inner",
        base / "gone",
        base / "hidden",
        top / "empty",
    ):
        path.mkdir(parents=True)
    (base / "d/base").write_text("b")
    (base / "d/both").write_text("base")
    (middle / "d/both").write_text("middle")
    (base / "gone/x").write_text("x")
    (base / "hidden/old").write_text("x")
    (middle / "hidden").mkdir()
    (middle / "hidden/new").write_text("x")
    os.setxattr(middle / "hidden", "user.overlay.opaque", b"y")
    (top / "link").symlink_to("/etc")
    (base / "link").mkdir()
    (base / "link/x").write_text("x")
    try:
        os.mknod(middle / "gone", stat.S_IFCHR, os.makedev(0, 0))
    except OSError:
        pytest.skip("this user can't make overlay's whiteouts here")
    return [str(top), str(middle), str(base)]


def test_it_shows_what_overlay_would(layers: list[str]) -> None:
    with Merged(layers, user_xattrs=True) as merged:

        def text(path: str) -> str | None:
            found = merged.find(path.encode())
            if found is None:
                return None
            if found.is_directory:
                return "dir"
            fd = os.open(found.name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=found.directory)
            with os.fdopen(fd) as file:
                return file.read()

        assert text("d/base") == "b"
        assert text("d/both") == "middle"
        assert text("d/inner") == "dir"
        assert text("") == "dir"
        assert text("gone") is None
        assert text("gone/x") is None
        assert text("hidden/new") == "x"
        assert text("hidden/old") is None
        assert text("missing/deep/down") is None
        # A link hides the directory below, and is not followed.
        assert text("link/x") is None
        assert text("link/passwd") is None
        link = merged.find(b"link")
        assert link is not None
        assert stat.S_ISLNK(link.status.st_mode)
        assert sorted(merged.children(b"d")) == [b"base", b"both", b"inner"]
        assert sorted(merged.children(b"hidden")) == [b"new"]
        assert sorted(merged.children(b"")) == [b"d", b"empty", b"hidden", b"link"]
        assert merged.children(b"gone") == {}


def test_it_takes_few_descriptors_and_gives_all_back(tmp_path: Path) -> None:
    for n in range(200):
        (tmp_path / f"d{n}").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    with Merged([str(tmp_path)]) as merged:
        for n in range(200):
            merged.children(b"d%d" % n)
        assert len(os.listdir("/proc/self/fd")) - before <= 66
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_layers_hold_nothing() -> None:
    with Merged([]) as merged:
        assert merged.find(b"") is None
        assert merged.find(b"x") is None
        assert merged.children(b"") == {}
