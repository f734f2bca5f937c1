"""The words and codes for programs that can't be found or run."""

import errno
import os
from pathlib import Path

import pytest

from lodge.errors import StartFailed
from lodge.runtime.process.lookup import exec_failed, find_executable


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    (tmp_path / "good").write_text("#!/bin/sh\n")
    (tmp_path / "good").chmod(0o755)
    (tmp_path / "data").write_text("x")
    (tmp_path / "data").chmod(0o644)
    (tmp_path / "dir").mkdir()
    return tmp_path


def test_found_along_path(programs: Path) -> None:
    search = f"/nonexistent:{programs}/dir:{programs}"
    assert find_executable("good", search) == f"{programs}/good"
    assert find_executable(f"{programs}/good", "") == f"{programs}/good"


@pytest.mark.parametrize("name", ["none", "data", "dir", ""])
def test_not_on_path(programs: Path, name: str) -> None:
    with pytest.raises(
        StartFailed, match=rf'^exec: "{name}": executable file not found in \$PATH$'
    ) as caught:
        find_executable(name, str(programs))
    assert caught.value.exit_code == 127


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("none", "stat {0}: no such file or directory", 127),
        ("good/x", "stat {0}: not a directory", 126),
        ("dir", "is a directory: permission denied", 126),
        ("data", "permission denied", 126),
    ],
)
def test_by_path(programs: Path, name: str, text: str, code: int) -> None:
    path = f"{programs}/{name}"
    with pytest.raises(StartFailed) as caught:
        find_executable(path, "")
    assert caught.value.message == f'exec: "{path}": {text.format(path)}'
    assert caught.value.exit_code == code


def test_the_working_directory_is_never_searched(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(programs)
    for search in ("", ".", ":", "dir"):
        with pytest.raises(StartFailed):
            find_executable("good", search)


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOENT, 127), (errno.EACCES, 126), (errno.ENOEXEC, 126), (errno.E2BIG, 126)]
)
def test_what_execve_says(number: int, code: int) -> None:
    failed = exec_failed("/x", OSError(number, os.strerror(number)))
    assert failed.message == f"exec /x: {os.strerror(number).lower()}"
    assert failed.exit_code == code
