"""hostile.md rows 6, 8 and 12: names that change while they are resolved lead nowhere outside the root."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.kernel import paths
from lodge.kernel.mount import AT_FDCWD
from lodge.kernel.syscalls import MACHINE, syscall

RENAMEAT2 = {"x86_64": 316, "aarch64": 276}


def exchange(one: bytes, other: bytes) -> None:
    """Swap two names in one step: renameat2(2) with RENAME_EXCHANGE."""
    syscall(RENAMEAT2[MACHINE], AT_FDCWD, one, AT_FDCWD, other, 2)


@pytest.fixture
def swapped(tmp_path: Path) -> Iterator[Path]:
    """A root in which `x` is now a directory, now a link to a directory of the host, all the time."""
    host, top = tmp_path / "host", tmp_path / "root"
    host.mkdir()
    (top / "x").mkdir(parents=True)
    (top / "spare").symlink_to("../host")
    (top / "absolute").symlink_to(host)
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(top)
            while True:
                for spare in (b"spare", b"absolute"):
                    exchange(b"x", spare)
                    exchange(b"x", spare)
        finally:
            os._exit(1)
    yield top
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_nothing_is_made_outside(swapped: Path) -> None:
    root = os.open(swapped, os.O_PATH)
    made = refused = number = 0
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        number += 1
        for make in (paths.make_directories_in_root, paths.create_file_in_root):
            try:
                os.close(make(root, f"x/{make.__name__[:4]}{number}/inner"))
                made += 1
            except OSError:
                refused += 1
    os.close(root)
    assert made > 100
    assert os.listdir(swapped.parent / "host") == []
    assert sorted(os.listdir(swapped.parent)) == ["host", "root"]


def test_every_mount_point_parent_as_a_link(tmp_path: Path) -> None:
    host, top = tmp_path / "host", tmp_path / "root"
    host.mkdir()
    top.mkdir()
    for name in ("dev", "proc", "sys", "etc", "run"):
        (top / name).symlink_to(host)
    root = os.open(top, os.O_PATH)
    for path in ("dev/pts", "proc", "sys/fs/cgroup", "run/secrets/x"):
        os.close(paths.make_directories_in_root(root, path))
    os.close(paths.create_file_in_root(root, "/etc/hosts"))
    os.close(root)
    assert os.listdir(host) == []
