"""Files between container and machine: the plan, packing, and unpacking what is not trusted."""

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.cli.copying.members import Members
from lodge.cli.copying.pack import Packer
from lodge.cli.copying.plan import plan_target, split_argument
from lodge.cli.copying.unpack import Unpacker
from lodge.client.http1 import Response
from lodge.errors import Corrupt, InvalidArgument


class Body(Response):
    """A body from memory, in small pieces."""

    __slots__ = ("left",)

    def __init__(self, data: bytes) -> None:
        self.left = data

    def read(self) -> bytes:
        piece, self.left = self.left[:700], self.left[700:]
        return piece


@pytest.mark.parametrize(
    ("text", "container", "path"),
    [
        ("web:/x", "web", "/x"),
        ("web:x:y", "web", "x:y"),
        ("/a:b", "", "/a:b"),
        ("./a:b", "", "./a:b"),
        ("../a:b", "", "../a:b"),
        ("file", "", "file"),
        ("-", "", "-"),
        (":x", "", "x"),
    ],
)
def test_sides(text: str, container: str, path: str) -> None:
    side = split_argument(text)
    assert (side.container, side.path) == (container, path)


@pytest.mark.parametrize(
    ("source", "is_directory", "target", "kind", "place"),
    [
        ("/s/f", False, "/t", "directory", ("/t", "f")),
        ("/s/f", False, "/t/n", "missing", ("/t", "n")),
        ("/s/f", False, "/t/n", "file", ("/t", "n")),
        ("/s/d", True, "/t", "directory", ("/t", "d")),
        ("/s/d/", True, "/t", "directory", ("/t", "d")),
        ("/s/d/.", True, "/t", "directory", ("/t", ".")),
        ("/s/d", True, "/t/n", "missing", ("/t", "n")),
        ("/s/d/.", True, "/t/n", "missing", ("/t", "n")),
        ("/s/d", True, "/t/n/", "missing", ("/t", "n")),
        ("/s/f", False, "n", "missing", (".", "n")),
    ],
)
def test_targets(source: str, is_directory: bool, target: str, kind: str, place: tuple[str, str]) -> None:
    plan = plan_target(source, is_directory, target, kind)
    assert (plan.directory, plan.name) == place


@pytest.mark.parametrize(
    ("is_directory", "target", "kind", "problem"),
    [
        (False, "/t/n/", "missing", "no such directory"),
        (True, "/t/f", "file", "cannot copy directory"),
        (False, "/t/f/", "file", "not a directory"),
    ],
)
def test_targets_that_are_refused(is_directory: bool, target: str, kind: str, problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem):
        plan_target("/s", is_directory, target, kind)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "src"
    (root / "sub").mkdir(parents=True)
    (root / "a").write_bytes(b"one\n")
    (root / "sub" / "big").write_bytes(os.urandom(70_000))
    (root / "sub" / "big").chmod(0o4750)
    os.link(root / "a", root / "again")
    (root / "link").symlink_to("a")
    (root / "dangling").symlink_to("/nowhere")
    os.mkfifo(root / "pipe")
    (root / ("n" * 200)).write_text("long")
    (root / os.fsdecode(b"\xff\xfe")).write_text("not UTF-8")
    os.utime(root / "a", (1_000_000, 1_000_000))
    os.utime(root / "sub", (2_000_000, 2_000_000))
    return root


def describe(root: Path) -> dict[str, tuple[object, ...]]:
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            content: object = None
            if stat.S_ISREG(status.st_mode):
                content = Path(path).read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            when = (
                None
                if stat.S_ISLNK(status.st_mode) or stat.S_ISFIFO(status.st_mode)
                else int(status.st_mtime)
            )
            found[os.path.relpath(path, root)] = (oct(status.st_mode), status.st_nlink, content, when)
    return found


def unpack(data: bytes, place: Path, root: str, name: str) -> None:
    with Unpacker(str(place)) as unpacker:
        unpacker.unpack(Members(Body(data)), root, name)


def test_a_tree_survives_the_journey(tree: Path, tmp_path: Path) -> None:
    packer = Packer()
    data = b"".join(packer.pack(str(tree), "root"))
    assert len(data) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getmember("root/again").islnk()
    place = tmp_path / "out"
    place.mkdir()
    unpack(data, place, "root", "renamed")
    assert describe(place / "renamed") == describe(tree)
    assert packer.size == 70_000 + 4 + 4 + 9


def archive_of(*members: tuple[str, bytes, str]) -> bytes:
    """Members of name, type and link's target."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member, io.BytesIO(b""))
    return buffer.getvalue()


REG, SYM, LNK, DIR = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


@pytest.mark.parametrize(
    "members",
    [
        [("r/../../evil", REG, "")],
        [("r/..", DIR, "")],
        [("../evil", REG, "")],
        [("r/in", LNK, "../../secret")],
        [("r/in", LNK, "")],
        [("r/way", SYM, "/outside"), ("r/way/evil", REG, "")],
        [("r/way", SYM, ".."), ("r/way/evil", REG, "")],
        [("r/way", SYM, "/outside"), ("r/way", DIR, ""), ("r/way/evil", REG, "")],
        [("r/way", SYM, "/outside"), ("r/in", LNK, "r/way/secret")],
    ],
)
def test_nothing_leaves_the_target(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    place = tmp_path / "place"
    place.mkdir()
    members = [(name, kind, target.replace("/outside", str(outside))) for name, kind, target in members]
    with pytest.raises((Corrupt, InvalidArgument, OSError)):
        unpack(archive_of(*members), place, "r", "r")
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    assert not (tmp_path / "evil").exists()
    assert (outside / "secret").stat().st_nlink == 1


def test_a_file_replaces_a_link_and_is_never_written_through_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    place = tmp_path / "place"
    place.mkdir()
    (place / "f").symlink_to(victim)
    unpack(archive_of(("f", REG, "")), place, "f", "f")
    assert victim.read_text() == "kept"
    assert not (place / "f").is_symlink()


def test_a_directory_and_a_file_do_not_replace_each_other(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("x")
    with pytest.raises(InvalidArgument, match="cannot overwrite directory"):
        unpack(archive_of(("d", REG, "")), tmp_path, "d", "d")
    with pytest.raises(InvalidArgument, match="cannot overwrite non-directory"):
        unpack(archive_of(("f", DIR, "")), tmp_path, "f", "f")


@given(st.binary(max_size=2000))
def test_bytes_that_are_no_archive(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    place = tmp_path_factory.mktemp("place")
    try:
        unpack(data, place, "r", "r")
    except Corrupt:
        pass


def test_a_torn_archive_is_told(tree: Path, tmp_path: Path) -> None:
    data = b"".join(Packer().pack(str(tree / "sub"), "r"))
    place = tmp_path / "out"
    place.mkdir()
    with pytest.raises(Corrupt):
        unpack(data[: len(data) // 2], place, "r", "r")


@pytest.mark.parametrize("layout", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_every_writing_of_tar_is_read(tmp_path: Path, layout: int) -> None:
    long = "d/" * 60 + "n" * 90 if layout != tarfile.USTAR_FORMAT else "d/" * 40 + "n" * 90
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=layout) as archive:
        for name, size in ((f"r/{long}", 5), ("r/empty", 0), ("r/block", 512)):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = size, 1_000_000
            archive.addfile(member, io.BytesIO(b"x" * size))
        link = tarfile.TarInfo("r/link")
        link.type, link.linkname = SYM, "t" * (200 if layout != tarfile.USTAR_FORMAT else 90)
        archive.addfile(link)
    unpack(buffer.getvalue(), tmp_path, "r", "out")
    assert (tmp_path / "out" / long).read_bytes() == b"x" * 5
    assert (tmp_path / "out" / "block").stat().st_size == 512
    assert os.readlink(tmp_path / "out" / "link") == link.linkname


@pytest.mark.parametrize(
    "records",
    [b"nonsense", b"3 a\n", b"9 nomark\n", b"12 size=-1\n\n\n"[:11] + b"\n", b"99999999 path=x\n"[:17]],
)
def test_broken_records_are_told(tmp_path: Path, records: bytes) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = b"x", len(records)
    data = header.tobuf(tarfile.USTAR_FORMAT) + records.ljust(512, b"\0") + archive_of(("r", REG, ""))
    with pytest.raises(Corrupt):
        unpack(data, tmp_path, "r", "r")
