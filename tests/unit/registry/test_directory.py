import os
from pathlib import Path

import pytest

from lodge.errors import Conflict, Corrupt
from lodge.registry.directory import Directory
from lodge.registry.repository import Repository
from tests.unit.registry.serving import Served


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first = Directory(str(tmp_path))
    with pytest.raises(Conflict, match="in use"):
        Directory(str(tmp_path))
    first.close()
    Directory(str(tmp_path)).close()


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(Conflict, match="something else"):
        Directory(str(tmp_path))
    assert set(os.listdir(tmp_path)) <= {"holiday.jpg", "registry.lock"}


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "version").write_bytes(b"99\n")
    with pytest.raises(Conflict, match="newer"):
        Directory(str(tmp_path))


def test_names_inside_names(tmp_path: Path) -> None:
    served = Served(tmp_path)
    for name in ("a", "a/b", "a/b/blobs", "uploads"):
        served.push_image(name, "v1", name.encode())
    served.stop()
    directory = Directory(str(tmp_path))
    assert directory.names() == ["a", "a/b", "a/b/blobs", "uploads"]
    for name in directory.names():
        found = directory.find(name)
        assert isinstance(found, Repository)
        assert list(found.contents.tags) == ["v1"]
    assert directory.find("a/c") is None
    directory.close()


def test_a_damaged_index_says_so(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.push_image("a", "v1", b"layer")
    served.stop()
    (tmp_path / "repositories/a/_/index.json").write_bytes(b"{")
    directory = Directory(str(tmp_path))
    with pytest.raises(Corrupt, match="index"):
        directory.find("a")
    directory.close()
