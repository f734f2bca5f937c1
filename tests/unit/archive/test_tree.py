import io
import os
import socket
import stat
import tarfile
from pathlib import Path

import pytest

from lodge.archive.removal import remove_tree
from lodge.archive.tree import TreeOptions, write_member, write_tree
from tests.unit.archive.making import names
from tests.unit.archive.test_extract import put, tree
from tests.unit.archive.test_whiteouts import may_make_whiteouts


def archived(where: Path, options: TreeOptions | None = None) -> bytes:
    out: list[bytes] = []
    root = os.open(where, os.O_RDONLY)
    try:
        write_tree(root, out.append, options)
    finally:
        os.close(root)
    return b"".join(out)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    root = tmp_path / "sample"
    (root / "d/e").mkdir(parents=True)
    (root / "d/f").write_text("content")
    (root / "d/f").chmod(0o4711)
    os.link(root / "d/f", root / "a-hard")
    (root / "l").symlink_to("/d/f")
    os.mkfifo(root / "p")
    (root / "big").write_bytes(os.urandom(3 << 20))
    os.setxattr(root / "d/f", "user.k", b"v")
    (root / os.fsdecode(b"\xff\xfe")).write_text("odd")
    (root / ("n" * 255)).write_text("long")
    return root


def test_extracting_gives_the_same_tree(sample: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    put(archived(sample), again)
    assert (again / "big").read_bytes() == (sample / "big").read_bytes()
    for where in (again, sample):
        (where / "big").unlink()
    assert tree(again) == tree(sample)
    assert (again / "a-hard").stat().st_ino == (again / "d/f").stat().st_ino
    assert stat.S_IMODE((again / "d/f").stat().st_mode) == 0o4711
    assert os.getxattr(again / "d/f", "user.k") == b"v"
    assert int((again / "d/f").stat().st_mtime) == int((sample / "d/f").stat().st_mtime)


def test_the_order_is_fixed_and_a_second_run_gives_the_same_bytes(sample: Path) -> None:
    data = archived(sample)
    assert archived(sample) == data
    found = names(data)
    assert found[:4] == ["a-hard", "big", "d", "d/e"]
    assert found == sorted(found, key=os.fsencode)


def test_times_are_clamped_and_owners_mapped(sample: Path) -> None:
    options = TreeOptions(latest=5 * 10**9, owner=lambda uid, gid: (uid + 1000, gid + 2000))
    with tarfile.open(fileobj=io.BytesIO(archived(sample, options))) as archive:
        for info in archive:
            assert info.mtime == 5
            assert (info.uid, info.gid) == (os.geteuid() + 1000, os.getegid() + 2000)


def test_precise_keeps_nanoseconds(sample: Path, tmp_path: Path) -> None:
    os.utime(sample / "d/f", ns=(1, 1_600_000_000_123_456_789))
    put(archived(sample, TreeOptions(precise=True)), tmp_path / "again")
    assert (tmp_path / "again/d/f").stat().st_mtime_ns == 1_600_000_000_123_456_789


def test_sockets_are_left_out_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = tmp_path / "s"
    where.mkdir()
    monkeypatch.chdir(where)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        options = TreeOptions()
        assert names(archived(where, options)) == []
        assert options.skipped == [b"sock"]


def test_an_upper_directory_becomes_a_layer(tmp_path: Path) -> None:
    if not may_make_whiteouts(tmp_path):
        pytest.skip("this user can't make device nodes 0/0 here")
    upper = tmp_path / "upper"
    (upper / "d").mkdir(parents=True)
    (upper / "d/new").write_text("1")
    os.setxattr(upper / "d", "user.overlay.opaque", b"y")
    os.mknod(upper / "gone", stat.S_IFCHR, os.makedev(0, 0))
    (upper / ".wh.fake").write_text("would delete something")
    options = TreeOptions(overlay=True, user_xattrs=True)
    data = archived(upper, options)
    assert names(data) == ["d", "d/.wh..wh..opq", "d/new", ".wh.gone"]
    assert options.skipped == [b".wh.fake"]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert all(not info.pax_headers for info in archive)


def test_one_member_under_another_name(sample: Path) -> None:
    root = os.open(sample, os.O_RDONLY)
    for name, found in (
        (b"d", ["new", "new/e", "new/f"]),
        (b"l", ["new"]),
        (b"big", ["new"]),
    ):
        out: list[bytes] = []
        write_member(root, name, b"new", out.append, TreeOptions())
        assert names(b"".join(out)) == found
    with pytest.raises(FileNotFoundError):
        write_member(root, b"missing", b"x", out.append, TreeOptions())
    os.close(root)


def test_a_tree_that_is_too_deep_is_an_error_and_leaks_nothing(tmp_path: Path) -> None:
    root = os.open(tmp_path, os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    try:
        make_deep(root, 900)
        with pytest.raises(OSError, match=r"nested too deeply|Too many open files"):
            archived(tmp_path)
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        remove_tree("d", root)
        os.close(root)


def make_deep(root: int, depth: int) -> None:
    """Directories in directories, deeper than a path can say."""
    inner = os.dup(root)
    for _ in range(depth):
        os.mkdir("d", dir_fd=inner)
        deeper = os.open("d", os.O_RDONLY, dir_fd=inner)
        os.close(inner)
        inner = deeper
    os.close(inner)
