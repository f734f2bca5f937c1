"""Streams have two ends, and none is left behind."""

import os

from lodge.runtime.contract import StdioRequest
from lodge.runtime.process.stdio import Stdio


def open_fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_pipes() -> None:
    before = open_fds()
    stdio = Stdio(StdioRequest(stdin=True))
    stdin, stdout, stderr = stdio.child
    streams = stdio.streams
    assert streams.stdin is not None
    assert streams.stdout is not None
    assert streams.stderr is not None
    assert streams.terminal is None
    os.write(streams.stdin, b"in")
    os.write(stdout, b"out")
    os.write(stderr, b"err")
    assert (os.read(stdin, 9), os.read(streams.stdout, 9), os.read(streams.stderr, 9)) == (
        b"in",
        b"out",
        b"err",
    )
    stdio.close_child_side()
    assert os.read(streams.stdout, 1) == b""
    streams.close()
    streams.close()
    assert open_fds() == before


def test_without_input_there_is_the_null_device() -> None:
    stdio = Stdio(StdioRequest())
    assert stdio.streams.stdin is None
    assert os.fstat(stdio.child[0]).st_rdev == os.makedev(1, 3)
    stdio.abandon()


def test_inherited_ones_are_left_alone() -> None:
    before = open_fds()
    stdio = Stdio(StdioRequest(inherit=(0, 1, 2)))
    assert stdio.child == (0, 1, 2)
    stdio.abandon()
    assert open_fds() == before


def test_a_terminal_has_no_pipes() -> None:
    stdio = Stdio(StdioRequest(terminal=True))
    assert stdio.child == ()
    assert stdio.streams.stdout is None


def test_streams_in_each_others_places() -> None:
    """Descriptors that are 0, 1 and 2 in another order must not overwrite each other."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            first, second = os.pipe(), os.pipe()
            os.write(first[1], b"first")
            os.write(second[1], b"second")
            os.dup2(first[0], 1)
            os.dup2(second[0], 0)
            Stdio(StdioRequest(inherit=(1, 0, 2))).install()
            os.write(writer, os.read(0, 9) + b" " + os.read(1, 9))
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    assert os.read(reader, 99) == b"first second"
    os.close(reader)
