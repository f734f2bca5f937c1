"""Watches and events, on real files and as bytes."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.kernel import inotify as ino


@pytest.fixture
def queue() -> Iterator[int]:
    fd = ino.inotify_init()
    yield fd
    os.close(fd)


def test_what_happens_to_a_directory_is_told(queue: int, tmp_path: Path) -> None:
    watch = ino.inotify_add_watch(queue, str(tmp_path), ino.IN_CREATE | ino.IN_DELETE | ino.IN_CLOSE_WRITE)
    assert ino.read_events(queue) == []
    (tmp_path / "name").write_text("x")
    (tmp_path / "name").unlink()
    assert ino.read_events(queue) == [
        ino.Event(watch, ino.IN_CREATE, 0, "name"),
        ino.Event(watch, ino.IN_CLOSE_WRITE, 0, "name"),
        ino.Event(watch, ino.IN_DELETE, 0, "name"),
    ]


def test_a_watch_can_be_taken_away(queue: int, tmp_path: Path) -> None:
    watch = ino.inotify_add_watch(queue, str(tmp_path), ino.IN_CREATE)
    ino.inotify_rm_watch(queue, watch)
    assert ino.read_events(queue) == [ino.Event(watch, ino.IN_IGNORED, 0, "")]
    with pytest.raises(OSError, match="Invalid argument"):
        ino.inotify_rm_watch(queue, watch)


def test_a_missing_file_is_an_error_with_its_path(queue: int) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        ino.inotify_add_watch(queue, "/no/such", ino.IN_MODIFY)
    assert caught.value.filename == "/no/such"


def test_events_lie_one_after_another() -> None:
    data = struct.pack("iIII8s", 1, 2, 0, 8, b"ab") + struct.pack("iIII", 3, 4, 5, 0)
    assert ino.parse_events(data) == [ino.Event(1, 2, 0, "ab"), ino.Event(3, 4, 5, "")]
