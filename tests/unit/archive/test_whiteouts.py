import os
import stat
from pathlib import Path

import pytest

from lodge.archive.extract import Options
from lodge.archive.whiteouts import OverlayWhiteouts, is_whiteout, split
from lodge.errors import Corrupt
from tests.unit.archive.making import entry, tar
from tests.unit.archive.test_extract import put, tree


def may_make_whiteouts(where: Path) -> bool:
    try:
        os.mknod(where / "probe", stat.S_IFCHR, os.makedev(0, 0))
    except OSError:
        return False
    (where / "probe").unlink()
    return True


def overlay() -> Options:
    return Options(whiteouts=OverlayWhiteouts(user=True), layer=True)


def opaque(path: Path) -> bool:
    return "user.overlay.opaque" in os.listxattr(path)


def white(path: Path) -> bool:
    return is_whiteout(path.lstat())


def test_split() -> None:
    assert split(b"x") is None
    assert split(b".wh.x") == b"x"
    for bad in (b".wh.", b".wh..", b".wh..."):
        with pytest.raises(Corrupt):
            split(bad)


def test_overlay_form(tmp_path: Path) -> None:
    if not may_make_whiteouts(tmp_path):
        pytest.skip("this user can't make device nodes 0/0 here")
    data = tar(
        entry("gone/.wh.a"),
        entry("d/.wh..wh..opq"),
        entry("d/new", b"n"),
        entry(".wh.top"),
        entry(".wh..wh.aufs"),
        entry(".wh..wh.plnk", kind="dir"),
        entry(".wh..wh.plnk/1.2", b"linked"),
        entry("h1", ".wh..wh.plnk/1.2", "hard"),
    )
    put(data, tmp_path / "r", overlay())
    root = tmp_path / "r"
    assert white(root / "gone/a")
    assert white(root / "top")
    assert opaque(root / "d")
    assert (root / "h1").read_text() == "linked"
    assert sorted(os.listdir(root)) == ["d", "gone", "h1", "top"]


def test_order_does_not_matter_within_a_layer(tmp_path: Path) -> None:
    if not may_make_whiteouts(tmp_path):
        pytest.skip("this user can't make device nodes 0/0 here")
    put(tar(entry(".wh.f"), entry("f", b"new")), tmp_path / "a", overlay())
    put(tar(entry("f", b"new"), entry(".wh.f")), tmp_path / "b", overlay())
    assert tree(tmp_path / "a") == tree(tmp_path / "b") == {"f": "new"}
    # A directory in place of a deleted one must not show what was in that one.
    put(tar(entry(".wh.d"), entry("d", kind="dir"), entry("d/x", b"1")), tmp_path / "c", overlay())
    put(tar(entry("d", kind="dir"), entry("d/x", b"1"), entry(".wh.d")), tmp_path / "d", overlay())
    for where in ("c", "d"):
        assert tree(tmp_path / where) == {"d": "dir", "d/x": "1"}
        assert opaque(tmp_path / where / "d")


def test_without_a_layer_the_names_mean_nothing(tmp_path: Path) -> None:
    put(tar(entry(".wh.x", b"1")), tmp_path / "r")
    assert tree(tmp_path / "r") == {".wh.x": "1"}


def test_a_bare_whiteout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="without a name"):
        put(tar(entry("d/.wh.")), tmp_path / "r", overlay())
