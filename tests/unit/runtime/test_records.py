"""Records survive, identities can't lead elsewhere, a pid is never trusted alone."""

import os
import subprocess
from pathlib import Path

import pytest

from lodge.errors import AlreadyExists, Corrupt, InvalidArgument, NotFound
from lodge.runtime.records import Record, Records, open_init, start_time
from lodge.spec.runtime import RuntimeConfig


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(str(tmp_path / "root"))


def record(identity: str = "box", pid: int = 0, began: int = 0) -> Record:
    return Record(
        id=identity,
        bundle="/b",
        rootfs="/b/rootfs",
        created="2026-01-01T00:00:00Z",
        owner="root",
        pid=pid,
        start_time=began,
        annotations={"a": "b"},
    )


def test_saved_is_loaded(records: Records) -> None:
    records.reserve("box")
    records.save(record())
    records.save_config("box", RuntimeConfig(oci_version="1.2.1", hostname="h"))
    assert records.load("box") == record()
    assert records.load_config("box").hostname == "h"
    assert [one.id for one in records.all()] == ["box"]
    records.forget("box")
    records.forget("box")
    assert list(records.all()) == []
    with pytest.raises(NotFound, match="container does not exist"):
        records.load("box")


def test_an_identity_is_taken_once(records: Records) -> None:
    records.reserve("box")
    with pytest.raises(AlreadyExists, match="container with given ID already exists"):
        records.reserve("box")


@pytest.mark.parametrize("identity", ["", ".", "..", "a/b", "../x", "a\0b", "a b", "é", "x" * 1025])
def test_identities_that_could_lead_elsewhere(records: Records, identity: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid container ID format"):
        records.reserve(identity)


def test_a_broken_record_hides_no_other(records: Records) -> None:
    for identity in ("a", "b"):
        records.reserve(identity)
        records.save(record(identity))
    Path(records.directory("a"), "state.json").write_text('{"id": ')
    with pytest.raises(Corrupt):
        records.load("a")
    assert [one.id for one in records.all()] == ["b"]


def test_no_directory_no_records(records: Records) -> None:
    assert list(records.all()) == []


def test_a_process_is_known_by_its_beginning() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        began = start_time(process.pid)
        os.close(open_init(record(pid=process.pid, began=began)))
        with pytest.raises(ProcessLookupError, match="another one"):
            open_init(record(pid=process.pid, began=began + 1))
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(ProcessLookupError, match="has ended"):
            open_init(record(pid=process.pid, began=began))
    with pytest.raises(ProcessLookupError):
        open_init(record(pid=process.pid, began=began))
    with pytest.raises(ProcessLookupError):
        open_init(record())


def test_a_name_with_parentheses_does_not_confuse(tmp_path: Path) -> None:
    program = tmp_path / "x) S 1 (y"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as process:
        assert abs(start_time(process.pid) - start_time(os.getpid())) >= 0
        assert start_time(process.pid) >= start_time(os.getpid())
        process.kill()
