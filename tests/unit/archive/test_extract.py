import io
import os
import stat
import subprocess
from pathlib import Path

import pytest

from lodge.archive.extract import Extracted, Options, extract
from lodge.errors import Conflict, Corrupt, Exhausted
from tests.unit.archive.making import Dribble, entry, raw_header, tar


def put(data: bytes, where: Path, options: Options | None = None) -> Extracted:
    where.mkdir(exist_ok=True)
    root = os.open(where, os.O_RDONLY)
    try:
        return extract(io.BytesIO(data), root, options)
    finally:
        os.close(root)


def tree(where: Path) -> dict[str, str]:
    """Every path below with its kind and content."""
    found: dict[str, str] = {}
    for path in sorted(where.rglob("*")):
        name = str(path.relative_to(where))
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_dir():
            found[name] = "dir"
        elif path.is_file():
            found[name] = path.read_text()
        else:
            found[name] = "special"
    return found


def test_files_directories_links_and_their_attributes(tmp_path: Path) -> None:
    data = tar(
        entry("d", kind="dir", mode=0o2750, mtime=1_000_000_000),
        entry("d/f", b"hello", mode=0o4751, mtime=1_600_000_000.123456789),
        entry("d/empty", mode=0o000),
        entry("d/l", "../x", "link", mtime=1_500_000_000),
        entry("d/h", "d/f", "hard"),
        entry("p", kind="fifo", mode=0o620),
        entry("shut", kind="dir", mode=0o500),
        entry("shut/in", b"1"),
    )
    result = put(data, tmp_path / "r")
    assert (result.members, result.size, result.implicit) == (8, 6, [])
    root = tmp_path / "r"
    status = (root / "d/f").stat()
    assert stat.S_IMODE(status.st_mode) == 0o4751
    assert abs(status.st_mtime_ns - 1_600_000_000_123_456_789) < 1000
    assert (root / "d/h").stat().st_ino == status.st_ino
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o2750
    assert (root / "d").stat().st_mtime == 1_000_000_000
    assert (root / "d/l").lstat().st_mtime == 1_500_000_000
    assert stat.S_IMODE((root / "d/empty").stat().st_mode) == 0
    assert stat.S_ISFIFO((root / "p").stat().st_mode)
    assert stat.S_IMODE((root / "p").stat().st_mode) == 0o620
    assert stat.S_IMODE((root / "shut").stat().st_mode) == 0o500
    for path in ("shut", "d/empty"):
        (root / path).chmod(0o700)
    assert tree(root)["shut/in"] == "1"


def test_streams_in_small_pieces_and_big_files(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    (tmp_path / "r").mkdir()
    root = os.open(tmp_path / "r", os.O_RDONLY)
    extract(Dribble(tar(entry("big", content), entry("x", b"1")), sizes=(70_001,)), root)
    os.close(root)
    assert (tmp_path / "r/big").read_bytes() == content


def test_umask_has_no_say(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        put(tar(entry("d", kind="dir", mode=0o777), entry("f", mode=0o666), entry("i/f")), tmp_path / "r")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "r/d").stat().st_mode) == 0o777
    assert stat.S_IMODE((tmp_path / "r/f").stat().st_mode) == 0o666
    assert stat.S_IMODE((tmp_path / "r/i").stat().st_mode) == 0o755


def test_names_that_are_no_text_and_as_long_as_can_be(tmp_path: Path) -> None:
    longest = b"\xff" + b"x" * 254
    raw = raw_header(b"\xfe\xfd") + tar(entry("y" * 255, b"1"))
    put(raw, tmp_path / "r")
    assert sorted(os.listdir(os.fsencode(tmp_path / "r"))) == [b"y" * 255, b"\xfe\xfd"]
    record = b"path=" + longest
    text = b"%d %b\n" % (len(record) + 5, record)
    assert len(text) == len(record) + 5
    put(
        raw_header(b"p", b"%011o\0" % len(text), b"x") + text.ljust(512, b"\0") + raw_header(b"s"),
        tmp_path / "l",
    )
    assert os.listdir(os.fsencode(tmp_path / "l")) == [longest]
    with pytest.raises(OSError, match="too long"):
        put(tar(entry("z" * 256)), tmp_path / "r")


def test_parents_that_the_archive_leaves_out(tmp_path: Path) -> None:
    result = put(tar(entry("a/b/f", b"1"), entry("a/b/g", b"2")), tmp_path / "r")
    assert result.implicit == [b"a", b"a/b"]
    assert tree(tmp_path / "r") == {"a": "dir", "a/b": "dir", "a/b/f": "1", "a/b/g": "2"}


def test_the_root_itself_may_be_a_member(tmp_path: Path) -> None:
    data = tar(entry("./", kind="dir", mode=0o711, mtime=5), entry("./f", b"1"))
    (tmp_path / "r").mkdir(mode=0o750)
    assert not put(data, tmp_path / "r").names_root
    assert stat.S_IMODE((tmp_path / "r").stat().st_mode) == 0o750
    assert put(data, tmp_path / "r", Options(layer=True)).names_root
    assert stat.S_IMODE((tmp_path / "r").stat().st_mode) == 0o711
    assert (tmp_path / "r").stat().st_mtime == 5


def test_what_is_there_is_replaced_but_directories_merge(tmp_path: Path) -> None:
    before = tar(
        entry("f", b"old"),
        entry("d", kind="dir"),
        entry("d/kept", b"k"),
        entry("full", kind="dir"),
        entry("full/x", b"x"),
        entry("l", "d", "link"),
        entry("l2", "d", "link"),
    )
    after = tar(
        entry("f", b"new"),
        entry("d", kind="dir", mode=0o700),
        entry("d/more", b"m"),
        entry("full", b"now a file"),
        entry("l", b"now a file"),
        entry("l2", kind="dir"),
        entry("l2/in", b"i"),
    )
    put(before, tmp_path / "r")
    put(after, tmp_path / "r")
    assert tree(tmp_path / "r") == {
        "f": "new",
        "d": "dir",
        "d/kept": "k",
        "d/more": "m",
        "full": "now a file",
        "l": "now a file",
        "l2": "dir",
        "l2/in": "i",
    }
    assert stat.S_IMODE((tmp_path / "r/d").stat().st_mode) == 0o700


def test_a_file_that_replaces_a_hard_link_leaves_the_other(tmp_path: Path) -> None:
    put(tar(entry("a", b"first"), entry("b", "a", "hard"), entry("b", b"second")), tmp_path / "r")
    assert tree(tmp_path / "r") == {"a": "first", "b": "second"}


def test_keep_kinds_refuses_to_change_a_kind(tmp_path: Path) -> None:
    put(tar(entry("d", kind="dir"), entry("f", b"1")), tmp_path / "r")
    with pytest.raises(Conflict, match="cannot overwrite directory 'd' with non-directory"):
        put(tar(entry("d", b"x")), tmp_path / "r", Options(keep_kinds=True))
    with pytest.raises(Conflict, match="cannot overwrite non-directory 'f' with directory"):
        put(tar(entry("f", kind="dir")), tmp_path / "r", Options(keep_kinds=True))
    put(tar(entry("f", b"2"), entry("d", kind="dir")), tmp_path / "r", Options(keep_kinds=True))
    assert (tmp_path / "r/f").read_text() == "2"


HOSTILE = {
    "dot dot": tar(entry("../evil", b"x")),
    "dot dot inside": tar(entry("a/../../evil", b"x")),
    "absolute": tar(entry("/evil", b"x")),
    "absolute through": tar(entry("/../evil", b"x")),
    "link then file": tar(entry("l", "..", "link"), entry("l/evil", b"x")),
    "absolute link then file": tar(entry("l", "OUTSIDE", "link"), entry("l/evil", b"x")),
    "link chain": tar(entry("a", "..", "link"), entry("b", "a/..", "link"), entry("b/evil", b"x")),
    "file through a link": tar(entry("l", "../evil", "link"), entry("l", b"x")),
    "hard link out": tar(entry("h", "../canary", "hard")),
    "absolute hard link out": tar(entry("h", "OUTSIDE/canary", "hard")),
    "hard link through a link": tar(
        entry("l", "..", "link"), entry("h", "l/canary", "hard"), entry("h", b"x")
    ),
    "hard link to a link, then write": tar(
        entry("l", "OUTSIDE/canary", "link"), entry("h", "l", "hard"), entry("h", b"overwritten")
    ),
    "directory then link in its place": tar(
        entry("d", kind="dir"), entry("d/x", b"1"), entry("d", "OUTSIDE", "link"), entry("d/evil", b"x")
    ),
    "directory times through a link": tar(
        entry("d", kind="dir"), entry("d/s", kind="dir", mtime=1), entry("d", "OUTSIDE", "link")
    ),
    "directory mode through a link": tar(entry("d", kind="dir", mode=0o001), entry("d", "OUTSIDE", "link")),
    "whiteout out": tar(entry("l", "..", "link"), entry("l/.wh.canary")),
    "link loop": tar(entry("a", "b", "link"), entry("b", "a", "link"), entry("a/evil", b"x")),
    "dir over link": tar(
        entry("l", "OUTSIDE", "link"), entry("l", kind="dir", mode=0o777), entry("l/evil", b"x")
    ),
    "the root becomes a link": tar(entry(".", "OUTSIDE", "link"), entry("evil", b"x")),
    "the root becomes a file": tar(entry("a/..", b"x")),
    "nul": raw_header(b"p", b"00000000023\0", b"x")
    + b"19 path=x\0../../y\n".ljust(512, b"\0")
    + raw_header(b"y"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("layer", [False, True])
def test_nothing_leaves_the_root(name: str, layer: bool, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o750)
    for where in (outside, tmp_path):
        (where / "canary").write_text("alive")
        os.utime(where / "canary", (9, 9))
    os.utime(outside, (9, 9))
    data = HOSTILE[name]
    # Placeholders keep the archive's blocks as they are.
    if b"OUTSIDE" in data:
        data = _retarget(data, str(outside))
    try:
        put(data, tmp_path / "deep", Options(layer=layer))
    except (Corrupt, OSError):
        pass
    assert sorted(os.listdir(tmp_path)) == ["canary", "deep", "outside"]
    assert os.listdir(outside) == ["canary"]
    for where in (outside, tmp_path):
        assert (where / "canary").read_text() == "alive"
        assert (where / "canary").stat().st_mtime == 9
        assert (where / "canary").stat().st_nlink == 1
    assert (stat.S_IMODE(outside.stat().st_mode), outside.stat().st_mtime) == (0o750, 9)


def _retarget(data: bytes, outside: str) -> bytes:
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for info in old:
            info.linkname = info.linkname.replace("OUTSIDE", outside)
            new.addfile(info, old.extractfile(info) if info.isreg() else None)
    return out.getvalue()


def test_links_inside_are_followed_as_in_a_chroot(tmp_path: Path) -> None:
    put(
        tar(entry("usr/lib", kind="dir"), entry("lib", "/usr/lib", "link"), entry("lib/x", b"1")),
        tmp_path / "r",
    )
    assert (tmp_path / "r/usr/lib/x").read_text() == "1"


def test_hard_links_without_a_target(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="invalid hardlink 'h' -> 'missing'"):
        put(tar(entry("h", "missing", "hard")), tmp_path / "r")
    result = put(tar(entry("h", "./missing", "hard")), tmp_path / "r", Options(layer=True))
    assert result.missing_links == [(b"h", b"missing")]
    # A hard link to itself, as some writers make of duplicate names, does no harm.
    put(tar(entry("f", b"1"), entry("f", "f", "hard")), tmp_path / "s")
    assert (tmp_path / "s/f").read_text() == "1"


@pytest.mark.parametrize("target", [b"", b"/", b"."])
def test_links_without_a_sense_are_refused(target: bytes, tmp_path: Path) -> None:
    with pytest.raises(Corrupt):
        put(raw_header(b"h", type_=b"1", link=target), tmp_path / "r")
    with pytest.raises(Corrupt):
        put(raw_header(b"s", type_=b"2", link=b""), tmp_path / "r")


def test_limits(tmp_path: Path) -> None:
    data = tar(entry("a", b"x" * 1000), entry("b", b"x" * 1000))
    with pytest.raises(Exhausted):
        put(data, tmp_path / "r", Options(most_bytes=1999))
    with pytest.raises(Exhausted):
        put(data, tmp_path / "r", Options(most_members=1))
    assert put(data, tmp_path / "r", Options(most_bytes=2000, most_members=2)).size == 2000


@pytest.mark.parametrize("key", ["trusted.overlay.redirect", "user.overlay.metacopy"])
def test_overlays_own_xattrs_are_refused(key: str, tmp_path: Path) -> None:
    info, data = entry("f", b"1", pax_headers={f"SCHILY.xattr.{key}": "/etc"})
    with pytest.raises(Corrupt, match="is refused"):
        put(tar((info, data)), tmp_path / "r")


def test_xattrs_are_set_and_impossible_ones_are_told(tmp_path: Path) -> None:
    info, data = entry("f", b"1", pax_headers={"SCHILY.xattr.user.k": "v", "SCHILY.xattr.nonsense": "v"})
    result = put(tar((info, data)), tmp_path / "r")
    assert os.getxattr(tmp_path / "r/f", "user.k") == b"v"
    assert len(result.warnings) == 1
    assert "nonsense" in result.warnings[0]


def test_unknown_types_and_truncation_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="unhandled tar header type"):
        put(raw_header(b"x", type_=b"Q"), tmp_path / "r")
    data = tar(entry("f", b"x" * 5000))
    with pytest.raises(Corrupt, match="unexpected end"):
        put(data[:2000], tmp_path / "r")


def test_devices_may_be_left_out(tmp_path: Path) -> None:
    result = put(
        tar(entry("null", kind="char", devmajor=1, devminor=3)), tmp_path / "r", Options(devices=False)
    )
    assert result.warnings == ["null: device node left out"]
    assert tree(tmp_path / "r") == {}


def test_owners_are_mapped(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def owner(uid: int, gid: int) -> tuple[int, int]:
        seen.append((uid, gid))
        return os.geteuid(), os.getegid()

    put(
        tar(entry("f", uid=77, gid=88), entry("d", kind="dir", uid=1, gid=2)),
        tmp_path / "r",
        Options(owner=owner),
    )
    assert seen == [(77, 88), (1, 2)]
    assert (tmp_path / "r/f").stat().st_uid == os.geteuid()


def test_agrees_with_gnu_tar_about_a_real_tree(tmp_path: Path, project: Path) -> None:
    archive = tmp_path / "x.tar"
    subprocess.run(
        ["tar", "-C", str(project / "src"), "--exclude=__pycache__", "-cf", str(archive), "."], check=True
    )
    mine = Options(owner=lambda uid, gid: (os.geteuid(), os.getegid()))
    put(archive.read_bytes(), tmp_path / "ours", mine)
    (tmp_path / "theirs").mkdir()
    subprocess.run(["tar", "-C", str(tmp_path / "theirs"), "-xpf", str(archive)], check=True)
    assert tree(tmp_path / "ours") == tree(tmp_path / "theirs")
    assert len(tree(tmp_path / "ours")) > 20
