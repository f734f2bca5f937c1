"""Records are replaced in one step, unreadable ones count as absent, processes are known by their start."""

import os
import subprocess
from pathlib import Path

import pytest

from lodge.runtime.exit_record import (
    EXIT_RECORD,
    MONITOR_RECORD,
    ExitRecord,
    MonitorRecord,
    ProcessIdentity,
    clear_records,
    read_exit_record,
    read_monitor_record,
    start_time,
    write_record,
)


def test_records_come_back(tmp_path: Path) -> None:
    me = ProcessIdentity.of(os.getpid())
    monitor = MonitorRecord(id="x", runtime="process", bundle="/b", cgroups_path="/c", monitor=me)
    end = ExitRecord(id="x", code=3, at_ns=5, oom_killed=True, error="e", execs={"a": 1})
    assert read_monitor_record(str(tmp_path)) is None
    assert read_exit_record(str(tmp_path)) is None
    write_record(str(tmp_path), MONITOR_RECORD, monitor)
    write_record(str(tmp_path), EXIT_RECORD, end)
    write_record(str(tmp_path), EXIT_RECORD, end)
    assert read_monitor_record(str(tmp_path)) == monitor
    assert read_exit_record(str(tmp_path)) == end
    assert sorted(os.listdir(tmp_path)) == [EXIT_RECORD, MONITOR_RECORD]
    clear_records(str(tmp_path))
    clear_records(str(tmp_path))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"id":1}', b"\0" * 20])
def test_unreadable_record_counts_as_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / EXIT_RECORD).write_bytes(text)
    (tmp_path / MONITOR_RECORD).write_bytes(text)
    assert read_exit_record(str(tmp_path)) is None
    assert read_monitor_record(str(tmp_path)) is None


def test_process_is_known_by_its_start() -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        identity = ProcessIdentity.of(sleeper.pid)
        assert identity.alive
        assert not ProcessIdentity(pid=sleeper.pid, start=identity.start - 1).alive
        sleeper.kill()
        # A zombie is not alive.
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
        assert not identity.alive
    assert not identity.alive
    with pytest.raises(ProcessLookupError):
        start_time(sleeper.pid)


def test_names_with_parentheses_do_not_confuse(tmp_path: Path) -> None:
    program = tmp_path / "a) b (c"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as sleeper:
        assert start_time(sleeper.pid) >= start_time(os.getpid())
        sleeper.kill()
