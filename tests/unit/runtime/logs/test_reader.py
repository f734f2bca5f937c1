"""A log is read over all its files, from its end, and followed through rotation, compression, truncation."""

import os
import random
import time
from pathlib import Path

import pytest

from lodge.errors import InvalidArgument
from lodge.runtime.logs.reader import LogReader
from lodge.runtime.logs.sink import LogSink
from lodge.runtime.logs.view import View
from lodge.runtime.messages import LogSpec
from lodge.spec.streams import STDERR, STDOUT

DRIVERS = ["json-file", "local"]


def spec_of(directory: Path, driver: str, **options: object) -> LogSpec:
    return LogSpec(driver=driver, path=str(directory / "log"), **options)  # type: ignore[arg-type]


def sink_of(spec: LogSpec) -> LogSink:
    def trouble(message: str, dropped: int) -> None:
        raise AssertionError(f"{message} ({dropped})")

    return LogSink(spec, trouble)


def read_all(reader: LogReader) -> bytes:
    out = b""
    while data := reader.read():
        out += data
    return out


def read_log(spec: LogSpec, **view: object) -> bytes:
    reader = LogReader(spec, View(framed=False, **view))  # type: ignore[arg-type]
    try:
        return read_all(reader)
    finally:
        reader.close()


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_no_file_is_an_empty_log(tmp_path: Path, driver: str) -> None:
    assert read_log(spec_of(tmp_path, driver)) == b""
    assert read_log(spec_of(tmp_path, driver), tail=5) == b""


def test_driver_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="does not support reading"):
        LogReader(LogSpec(driver="none"), View())


def test_last_line_without_end_is_written_when_the_log_is_closed(tmp_path: Path, driver: str) -> None:
    spec = spec_of(tmp_path, driver)
    sink = sink_of(spec)
    sink.write(STDOUT, b"a\nb")
    assert read_log(spec) == b"a\n"
    sink.close()
    assert read_log(spec) == b"a\nb"


@pytest.mark.parametrize("compress", [False, True])
def test_rotated_files_are_one_log(tmp_path: Path, driver: str, compress: bool) -> None:
    spec = spec_of(tmp_path, driver, max_size=20_000, max_files=50, compress=compress)
    sink = sink_of(spec)
    lines = b""
    for number in range(3000):
        line = b"line %d\n" % number
        lines += line
        sink.write(STDERR if number % 5 == 0 else STDOUT, line)
    sink.close()
    if compress:
        wait_for_compressors(tmp_path)
    files = sorted(os.listdir(tmp_path))
    assert len(files) > 2
    assert any(name.endswith(".gz") for name in files) == compress
    assert max(path.stat().st_size for path in tmp_path.iterdir()) <= 20_000 + 200
    assert read_log(spec) == lines
    for tail in (0, 1, 10, 299, 2500, 3000, 5000):
        assert read_log(spec, tail=tail) == b"".join(lines.splitlines(True)[3000 - min(tail, 3000) :])


def wait_for_compressors(directory: Path) -> None:
    deadline = time.monotonic() + 20
    while any(not path.name.endswith(("log", ".gz")) for path in directory.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_large_chunks_do_not_overshoot(tmp_path: Path, driver: str) -> None:
    spec = spec_of(tmp_path, driver, max_size=100_000, max_files=1000)
    sink = sink_of(spec)
    chunk = b"0123456789abcde\n" * 4096
    for _ in range(10):
        sink.write(STDOUT, chunk)
    sink.close()
    assert max(path.stat().st_size for path in tmp_path.iterdir()) <= 100_000 + 17 * 1024
    assert read_log(spec) == chunk * 10


def test_oldest_files_go(tmp_path: Path, driver: str) -> None:
    spec = spec_of(tmp_path, driver, max_size=1000, max_files=3)
    sink = sink_of(spec)
    for number in range(1000):
        sink.write(STDOUT, b"line %d\n" % number)
    sink.close()
    assert sorted(os.listdir(tmp_path)) == ["log", "log.1", "log.2"]
    text = read_log(spec)
    assert text.endswith(b"line 999\n")
    assert 0 < len(text.splitlines()) < 100


def test_single_file_starts_again(tmp_path: Path, driver: str) -> None:
    spec = spec_of(tmp_path, driver, max_size=1000)
    sink = sink_of(spec)
    for number in range(1000):
        sink.write(STDOUT, b"line %d\n" % number)
    sink.close()
    assert os.listdir(tmp_path) == ["log"]
    assert read_log(spec).endswith(b"line 999\n")


def test_tail_of_a_large_file_reads_only_its_end(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "json-file")
    sink = sink_of(spec)
    for number in range(100):
        sink.write(STDOUT, b"".join(b"line %d.%d\n" % (number, part) for part in range(1000)))
    sink.close()
    start = time.perf_counter()
    assert read_log(spec, tail=2) == b"line 99.998\nline 99.999\n"
    assert time.perf_counter() - start < 0.1


def test_torn_end_is_not_shown_and_not_counted(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "json-file")
    sink = sink_of(spec)
    sink.write(STDOUT, b"a\nb\n")
    sink.close()
    with open(spec.path, "ab") as file:
        file.write(b'{"log":"torn')
    assert read_log(spec) == b"a\nb\n"
    assert read_log(spec, tail=1) == b"b\n"


def test_since_skips_and_until_finishes(tmp_path: Path, driver: str) -> None:
    spec = spec_of(tmp_path, driver)
    sink = sink_of(spec)
    sink.write(STDOUT, b"early\n")
    middle = time.time_ns()
    time.sleep(0.002)
    sink.write(STDOUT, b"late\n")
    sink.close()
    assert read_log(spec, since=middle) == b"late\n"
    assert read_log(spec, until=middle) == b"early\n"


@pytest.mark.parametrize("compress", [False, True])
def test_follower_misses_nothing_over_rotations(tmp_path: Path, driver: str, compress: bool) -> None:
    spec = spec_of(tmp_path, driver, max_size=3000, max_files=40, compress=compress)
    sink = sink_of(spec)
    reader = LogReader(spec, View(framed=False), follow=True)
    chance = random.Random(7)
    written = seen = b""
    for number in range(2000):
        line = b"line %d\n" % number
        written += line
        sink.write(STDOUT, line)
        # Not so seldom that the files which hold the unread part are deleted.
        if chance.random() < 0.01:
            seen += read_all(reader)
            assert seen == written
    sink.close()
    seen += read_all(reader)
    reader.close()
    assert seen == written


def test_follower_keeps_identical_files_apart(tmp_path: Path, driver: str) -> None:
    """Chunks of equal lines that span many files: only the times tell which was read."""
    spec = spec_of(tmp_path, driver, max_size=40_000, max_files=500, compress=True)
    sink = sink_of(spec)
    reader = LogReader(spec, View(framed=False), follow=True)
    seen = 0
    for _ in range(4):
        sink.write(STDOUT, b"the same\n" * 5000)
        seen += len(read_all(reader))
    sink.close()
    assert seen + len(read_all(reader)) == 4 * 9 * 5000
    reader.close()


def test_follower_may_be_there_before_the_file(tmp_path: Path, driver: str) -> None:
    spec = spec_of(tmp_path, driver)
    reader = LogReader(spec, View(framed=False), follow=True)
    assert reader.read() == b""
    sink = sink_of(spec)
    sink.write(STDOUT, b"first\n")
    assert read_all(reader) == b"first\n"
    reader.close()
    assert reader.read() == b""
    sink.close()


def test_follower_goes_on_after_truncation(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "json-file")
    sink = sink_of(spec)
    reader = LogReader(spec, View(framed=False), follow=True)
    sink.write(STDOUT, b"a\n" * 100)
    assert len(read_all(reader)) == 200
    os.truncate(spec.path, 0)
    sink.write(STDOUT, b"b\n")
    assert read_all(reader) == b"b\n"
    reader.close()
    sink.close()


def test_follower_goes_on_after_the_file_was_moved_away(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "json-file")
    sink = sink_of(spec)
    reader = LogReader(spec, View(framed=False), follow=True)
    sink.write(STDOUT, b"a\n")
    assert read_all(reader) == b"a\n"
    os.rename(spec.path, tmp_path / "elsewhere")
    sink.write(STDOUT, b"b\n")
    sink.reopen()
    sink.write(STDOUT, b"c\n")
    assert read_all(reader) == b"b\nc\n"
    reader.close()
    sink.close()


def test_replay_ends_with_the_unfinished_line(tmp_path: Path, driver: str) -> None:
    sink = sink_of(spec_of(tmp_path, driver))
    sink.write(STDOUT, b"a\nunfini")
    source = sink.replay(wanted=frozenset((STDOUT,)), framed=False)
    pieces = []
    more = True
    while more:
        data, more = source()
        pieces.append(data)
    assert b"".join(pieces) == b"a\nunfini"
    sink.close()
