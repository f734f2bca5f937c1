import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.archive.beneath import Beneath, clean
from lodge.archive.removal import remove_tree
from lodge.errors import Corrupt


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"a/b", b"a/b"),
        (b"./a", b"a"),
        (b"/etc/x", b"etc/x"),
        (b"a//b/", b"a/b"),
        (b"a/./b", b"a/b"),
        (b"a/../b", b"b"),
        (b"./", b""),
        (b".", b""),
        (b"", b""),
        (b"/", b""),
        (b"a/..", b""),
        (b"..a/b..", b"..a/b.."),
        (b".hidden/.x", b".hidden/.x"),
    ],
)
def test_clean(name: bytes, path: bytes) -> None:
    assert clean(name) == path


@pytest.mark.parametrize(
    "name", [b"..", b"../x", b"/../x", b"a/../../x", b"./../x", b"a/b/../../../c", b"a\0b", b"x" * 4097]
)
def test_clean_refuses(name: bytes) -> None:
    with pytest.raises(Corrupt):
        clean(name)


@given(st.binary(max_size=40))
def test_clean_gives_only_plain_components(name: bytes) -> None:
    try:
        path = clean(name)
    except Corrupt:
        return
    assert not path or all(part not in (b"", b".", b"..") for part in path.split(b"/"))
    assert clean(path) == path


@pytest.fixture
def root(tmp_path: Path) -> Iterator[tuple[Path, Beneath]]:
    inside = tmp_path / "root"
    inside.mkdir()
    (tmp_path / "outside").mkdir()
    fd = os.open(inside, os.O_RDONLY)
    with Beneath(fd) as beneath:
        os.close(fd)
        yield inside, beneath


def place(fd: int) -> str:
    return os.readlink(f"/proc/self/fd/{fd}")


def test_makes_what_is_missing_and_says_so(root: tuple[Path, Beneath]) -> None:
    path, beneath = root
    (path / "a").mkdir()
    assert place(beneath.directory(b"a/b/c", create=True)) == str(path / "a/b/c")
    assert beneath.created == [b"a/b", b"a/b/c"]
    with pytest.raises(FileNotFoundError):
        beneath.directory(b"x/y")
    parent, base = beneath.parent(b"a/file")
    assert (place(parent), base) == (str(path / "a"), b"file")
    assert beneath.parent(b"file") == (beneath.root, b"file")


@pytest.mark.parametrize(
    ("target", "lands"),
    [
        ("real", "real"),
        ("/real", "real"),
        ("../../../real", "real"),
        ("/../real", "real"),
        ("real/sub/..", "real"),
        ("./real/./", "real"),
        ("/", "."),
        ("..", "."),
        ("second", "real"),
    ],
)
def test_links_are_followed_inside_only(root: tuple[Path, Beneath], target: str, lands: str) -> None:
    path, beneath = root
    (path / "real/sub").mkdir(parents=True)
    (path / "second").symlink_to("/real")
    (path / "link").symlink_to(target)
    assert place(beneath.directory(b"link")) == os.path.normpath(path / lands)
    assert place(beneath.directory(b"link/new", create=True)) == os.path.normpath(path / lands / "new")


def test_a_link_to_outside_makes_its_like_inside(root: tuple[Path, Beneath], tmp_path: Path) -> None:
    path, beneath = root
    (path / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(FileNotFoundError):
        beneath.directory(b"link")
    made = place(beneath.directory(b"link/x", create=True))
    assert made == f"{path}{tmp_path}/outside/x"
    assert not list((tmp_path / "outside").iterdir())


def test_loops_and_files_in_the_way(root: tuple[Path, Beneath]) -> None:
    path, beneath = root
    (path / "loop").symlink_to("loop")
    (path / "file").touch()
    with pytest.raises(OSError, match="symbolic links"):
        beneath.directory(b"loop/x", create=True)
    with pytest.raises(NotADirectoryError):
        beneath.directory(b"file/x", create=True)


def test_deep_paths_and_many_directories_take_few_descriptors(root: tuple[Path, Beneath]) -> None:
    _, beneath = root
    before = len(os.listdir("/proc/self/fd"))
    for n in range(300):
        beneath.directory(b"d%d" % n, create=True)
    try:
        beneath.directory(b"/".join([b"x"] * 1500), create=True)
        assert len(os.listdir("/proc/self/fd")) - before <= 64
        beneath.forget()
        assert len(os.listdir("/proc/self/fd")) <= before
    finally:
        remove_tree("x", beneath.root)


def test_a_directory_swapped_for_a_link_meanwhile_leads_nowhere_else(
    root: tuple[Path, Beneath], tmp_path: Path
) -> None:
    """The race of CVE-2018-15664: somebody exchanges a directory and a link to the host all the time."""
    path, beneath = root
    (path / "d/sub").mkdir(parents=True)
    (path / "evil").symlink_to(tmp_path / "outside")
    (tmp_path / "outside/sub").mkdir()
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(path / "d", path / "t")
            os.rename(path / "evil", path / "d")
            os.rename(path / "d", path / "evil")
            os.rename(path / "t", path / "d")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(2000):
            beneath.forget()
            try:
                found = place(beneath.directory(b"d/sub"))
            except (FileNotFoundError, NotADirectoryError):
                continue
            assert found.startswith(str(path))
    finally:
        stop.set()
        thread.join()
