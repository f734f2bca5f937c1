"""The writing end never fails: a full disk costs output and is told, nothing else."""

import errno
import os
from pathlib import Path

import pytest

from lodge.errors import InvalidArgument
from lodge.runtime.logs import rotation
from lodge.runtime.logs.reader import LogReader
from lodge.runtime.logs.sink import LogSink
from lodge.runtime.logs.view import View
from lodge.runtime.messages import LogSpec
from lodge.spec.streams import STDOUT


class Troubles:
    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def __call__(self, message: str, dropped: int) -> None:
        self.told.append((message, dropped))


def test_unknown_driver_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="unknown log driver nope"):
        LogSink(LogSpec(driver="nope", path=str(tmp_path / "x")), Troubles())


def test_none_writes_nothing() -> None:
    sink = LogSink(LogSpec(driver="none"), Troubles())
    sink.write(STDOUT, b"x\n")
    sink.reopen()
    assert sink.replay(wanted=frozenset((STDOUT,)), framed=True)() == (b"", False)
    sink.close()


def test_full_disk_drops_counts_tells_and_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    troubles = Troubles()
    spec = LogSpec(path=str(tmp_path / "log"))
    sink = LogSink(spec, troubles)
    sink.write(STDOUT, b"before\n")
    real_write = os.write
    room = 30

    def write(fd: int, data: bytes | memoryview) -> int:
        nonlocal room
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real_write(fd, bytes(data)[:room])
        room -= written
        return written

    monkeypatch.setattr(rotation.os, "write", write)
    sink.write(STDOUT, b"lost\n")
    sink.write(STDOUT, b"lost\n")
    assert sink.dropped == 10
    assert [message for message, _ in troubles.told] == ["output can't be logged: No space left on device"]
    monkeypatch.setattr(rotation.os, "write", real_write)
    sink.write(STDOUT, b"after\n")
    sink.close()
    assert troubles.told[-1] == ("", 10)
    reader = LogReader(spec, View(framed=False))
    assert reader.read() == b"before\nafter\n"
    reader.close()
    assert b"lost" not in Path(spec.path).read_bytes()


def test_log_is_not_for_everybody(tmp_path: Path) -> None:
    LogSink(LogSpec(path=str(tmp_path / "log")), Troubles()).close()
    assert (tmp_path / "log").stat().st_mode & 0o007 == 0


def test_link_in_the_logs_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        LogSink(LogSpec(path=str(tmp_path / "log")), Troubles())
    assert not (tmp_path / "elsewhere").exists()
