"""A copied tree is the tree: content, modes, links, holes; nothing is followed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lodge.runtime.process.copy_up import copy_tree, is_empty


@contextmanager
def directory(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def copy(source: Path, target: Path) -> None:
    with directory(source) as old, directory(target) as new:
        copy_tree(old, new)


def test_empty(tmp_path: Path) -> None:
    with directory(tmp_path) as fd:
        assert is_empty(fd)
        (tmp_path / "x").touch()
        assert not is_empty(fd)


def test_everything_is_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "a/b").mkdir(parents=True)
    target.mkdir()
    (source / "a/file").write_bytes(b"content")
    (source / "a/file").chmod(0o640)
    os.link(source / "a/file", source / "a/b/again")
    (source / "outside").symlink_to("/etc/passwd")
    os.mkfifo(source / "fifo", 0o600)
    (source / "a/b").chmod(0o711)
    os.utime(source / "a/file", ns=(1_000_000_007, 2_000_000_009))
    source.chmod(0o1777)
    copy(source, target)
    assert (target / "a/file").read_bytes() == b"content"
    assert (target / "a/file").stat().st_mode == (source / "a/file").stat().st_mode
    assert (target / "a/file").stat().st_mtime_ns == 2_000_000_009
    assert (target / "a/file").samefile(target / "a/b/again")
    assert os.readlink(target / "outside") == "/etc/passwd"
    assert (target / "fifo").is_fifo()
    assert (target / "a/b").stat().st_mode & 0o7777 == 0o711
    assert target.stat().st_mode & 0o7777 == 0o1777


def test_holes_stay_holes(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    with open(source / "sparse", "wb") as file:
        file.write(b"begin")
        file.seek(64 << 20)
        file.write(b"end")
        file.truncate(128 << 20)
    copy(source, target)
    info = (target / "sparse").stat()
    assert info.st_size == 128 << 20
    assert info.st_blocks * 512 < 1 << 20
    with open(target / "sparse", "rb") as file:
        assert file.read(5) == b"begin"
        file.seek(64 << 20)
        assert file.read(4) == b"end\0"


def test_names_that_are_no_text(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    name = os.fsdecode(b"\xff\xfe" + b"n" * 253)
    (source / name).write_bytes(b"1")
    copy(source, target)
    assert os.listdir(target) == [name]
