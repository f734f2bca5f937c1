"""Names inside a root: links of every kind stay inside, and what is made is made inside."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lodge.kernel import paths


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """A root with a canary beside it, reachable by a careless walk only."""
    (tmp_path / "canary").mkdir()
    (tmp_path / "canary" / "file").write_text("host")
    top = tmp_path / "root"
    (top / "etc").mkdir(parents=True)
    (top / "etc" / "passwd").write_text("inside")
    for name, target in (
        ("absolute", "/etc"),
        ("out", "../../canary"),
        ("outer", "/../../../canary"),
        ("host", str(tmp_path / "canary")),
        ("loop", "loop"),
        ("dangling", "/missing/deep"),
        ("etc/up", "../etc"),
        ("file", "/etc/passwd"),
        ("nowhere", "new/file"),
    ):
        (top / name).symlink_to(target)
    fd = os.open(top, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)
    assert sorted(os.listdir(tmp_path)) == ["canary", "root"]
    assert os.listdir(tmp_path / "canary") == ["file"]
    assert (tmp_path / "canary" / "file").read_text() == "host"


def name_of(fd: int) -> str:
    path = os.readlink(paths.fd_path(fd))
    os.close(fd)
    return path


def read_and_close(fd: int) -> str:
    with open(fd) as file:
        return file.read()


@pytest.mark.parametrize("path", ["etc/passwd", "/etc/passwd", "absolute/passwd", "etc/up/passwd", "file"])
def test_links_are_followed_inside(root: int, path: str) -> None:
    assert read_and_close(paths.open_in_root(root, path, os.O_RDONLY)) == "inside"


@pytest.mark.parametrize("path", ["out/file", "outer/file", "host/file", "../canary/file", "/../canary/file"])
def test_nothing_leads_out(root: int, path: str) -> None:
    with pytest.raises(FileNotFoundError):
        paths.open_in_root(root, path, os.O_RDONLY)


def test_magic_links_are_refused(root: int) -> None:
    proc = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError, match="Too many levels") as caught:
            paths.open_in_root(proc, "cwd", os.O_PATH)
        assert caught.value.errno == errno.ELOOP
    finally:
        os.close(proc)


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("a/b/c", "/a/b/c"),
        ("/absolute/new", "/etc/new"),
        ("out/new", "/canary/new"),
        ("outer/new", "/canary/new"),
        ("dangling", "/missing/deep"),
        ("dangling/more", "/missing/deep/more"),
        ("a/../../b", "/b"),
        ("etc/up/../x", "/x"),
        (".", "/"),
        ("", "/"),
    ],
)
def test_directories_are_made_inside(root: int, path: str, made: str) -> None:
    top = os.readlink(paths.fd_path(root))
    assert name_of(paths.make_directories_in_root(root, path)) == (top + made).rstrip("/")
    assert paths.resolve_in_root(root, path) == made


def test_directories_get_the_mode(root: int) -> None:
    old = os.umask(0)
    try:
        fd = paths.make_directories_in_root(root, "m/n", 0o700)
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o700
    os.close(fd)


def test_a_loop_of_links_is_an_error(root: int) -> None:
    with pytest.raises(OSError, match="Too many levels"):
        paths.make_directories_in_root(root, "loop/x")
    with pytest.raises(OSError, match="Too many levels"):
        paths.create_file_in_root(root, "loop")


def test_a_file_in_the_way_is_an_error(root: int) -> None:
    with pytest.raises(NotADirectoryError):
        paths.make_directories_in_root(root, "etc/passwd/x")


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("new", "/new"),
        ("x/y/z", "/x/y/z"),
        ("absolute/host.conf", "/etc/host.conf"),
        ("nowhere", "/new/file"),
        ("out/file", "/canary/file"),
        ("dangling", "/missing/deep"),
    ],
)
def test_files_are_made_inside(root: int, path: str, made: str) -> None:
    top = os.readlink(paths.fd_path(root))
    fd = paths.create_file_in_root(root, path)
    assert stat.S_ISREG(os.fstat(fd).st_mode)
    assert name_of(fd) == top + made


def test_what_exists_is_opened_as_it_is(root: int) -> None:
    fd = paths.create_file_in_root(root, "file")
    assert os.fstat(fd).st_size == len("inside")
    os.close(fd)
    fd = paths.create_file_in_root(root, "etc")
    assert stat.S_ISDIR(os.fstat(fd).st_mode)
    os.close(fd)


@pytest.mark.parametrize("path", ["", "/", "etc/new/..", "etc/new/."])
def test_a_file_needs_a_name(root: int, path: str) -> None:
    try:
        fd = paths.create_file_in_root(root, path)
    except (IsADirectoryError, FileNotFoundError):
        return
    assert stat.S_ISDIR(os.fstat(fd).st_mode)
    os.close(fd)


def test_links_are_read_and_not_followed(root: int) -> None:
    assert paths.readlink_in_root(root, "dangling") == "/missing/deep"
    assert paths.readlink_in_root(root, "absolute/up") == "../etc"
    with pytest.raises(OSError, match="Invalid argument"):
        paths.readlink_in_root(root, "etc/passwd")


def test_no_file_descriptor_is_left_open(root: int) -> None:
    before = os.listdir("/proc/self/fd")
    for path in ("a/b/c", "loop/x", "etc/passwd/x", "dangling/y", "nowhere"):
        for make in (paths.make_directories_in_root, paths.create_file_in_root):
            try:
                os.close(make(root, path))
            except OSError:
                pass
    assert os.listdir("/proc/self/fd") == before


NAME = st.sampled_from(["a", "b", "c"])
TARGET = st.lists(st.sampled_from(["a", "b", "c", "..", ".", ""]), min_size=1, max_size=6).map("/".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(links=st.dictionaries(NAME, TARGET.filter(bool), max_size=3), wanted=TARGET)
def test_no_tree_of_links_makes_anything_outside(
    tmp_path_factory: pytest.TempPathFactory, links: dict[str, str], wanted: str
) -> None:
    outer = tmp_path_factory.mktemp("outer")
    top = outer / "root"
    top.mkdir()
    for name, target in links.items():
        (top / name).symlink_to(target)
    fd = os.open(top, os.O_PATH | os.O_DIRECTORY)
    try:
        for make in (paths.make_directories_in_root, paths.create_file_in_root):
            try:
                made = make(fd, wanted)
            except OSError:
                continue  # a loop, or a file in the way
            assert (name_of(made) + "/").startswith(f"{top}/")
            # What the kernel would find for a chrooted process is what was made.
            assert (top.as_posix() + paths.resolve_in_root(fd, wanted)).startswith(top.as_posix())
    finally:
        os.close(fd)
    assert os.listdir(outer) == ["root"]
