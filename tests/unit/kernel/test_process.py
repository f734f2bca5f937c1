"""What a process does to itself, each in a fork of its own, and pidfds."""

import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lodge.kernel import process


def in_fork(action: Callable[[], object]) -> str:
    """Run in a child; returns what it returned as text, or the error that it ended with."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = f"{action()}"
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as file:
        text = file.read().decode()
    os.waitpid(pid, 0)
    return text


def status(field: str) -> str:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return line.split(":")[1].strip()
    raise KeyError(field)


def test_attributes_are_set() -> None:
    def attributes() -> list[str]:
        process.set_no_new_privs()
        process.set_name("a-name-that-is-too-long")
        process.set_dumpable(False)
        process.set_child_subreaper(True)
        process.set_pdeathsig(signal.SIGKILL)
        process.set_keepcaps(True)
        return [status("NoNewPrivs"), status("Name")]

    assert in_fork(attributes) == "['1', 'a-name-that-is-']"


def test_personality_by_words() -> None:
    def set_and_read() -> str:
        process.personality("LINUX32", ["ADDR_NO_RANDOMIZE"])
        return Path("/proc/self/personality").read_text().strip()

    assert int(in_fork(set_and_read), 16) == 0x0040008
    with pytest.raises(ValueError, match="OS2"):
        process.personality("OS2")


def test_scheduling_by_words() -> None:
    def set_and_read() -> str:
        process.sched_setattr("SCHED_BATCH", nice=3)
        process.ioprio_set("IOPRIO_CLASS_IDLE", 0)
        return f"{os.sched_getscheduler(0)} {os.getpriority(os.PRIO_PROCESS, 0)}"

    assert in_fork(set_and_read) == f"{os.SCHED_BATCH} 3"


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ValueError, match="SCHED_NOPE"):
        process.sched_setattr("SCHED_NOPE")
    with pytest.raises(ValueError, match="FLAG"):
        process.sched_setattr("SCHED_OTHER", flags=["FLAG"])
    with pytest.raises(ValueError, match="IOPRIO"):
        process.ioprio_set("IOPRIO_CLASS_NOPE", 1)
    with pytest.raises(ValueError, match="MPOL_NOPE"):
        process.set_mempolicy("MPOL_NOPE")


def test_a_sealed_file_can_be_read_and_never_changed() -> None:
    fd = process.sealed_memfd("name", b"content" * 1000)
    try:
        assert os.read(fd, 7) == b"content"
        with pytest.raises(PermissionError):
            os.write(fd, b"x")
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 0)
        writable = f"/proc/self/fd/{fd}"
        with pytest.raises(PermissionError), open(writable, "r+b", buffering=0) as again:
            again.write(b"x")
    finally:
        os.close(fd)


def test_an_open_file_can_be_executed() -> None:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(write, 1)
        program = os.open("/bin/echo", os.O_PATH)
        try:
            process.execveat(program, "", ["echo", "hello"], ["A=b"])
        finally:
            os._exit(9)
    os.close(write)
    with open(read, "rb") as file:
        assert file.read() == b"hello\n"
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_ranges_of_files_are_closed_or_marked() -> None:
    def close() -> str:
        high = os.dup2(0, 200, inheritable=True)
        process.close_range(200, 201, process.CLOSE_RANGE_CLOEXEC)
        marked = not os.get_inheritable(high)
        process.close_range(200)
        return f"{marked} {os.path.exists('/proc/self/fd/200')}"

    assert in_fork(close) == "True False"


def test_a_pidfd_is_one_process() -> None:
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    pidfd = process.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        assert poll.poll(0) == []
        process.pidfd_send_signal(pidfd, signal.SIGTERM)
        assert poll.poll(5000) == [(pidfd, select.POLLIN)]
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
        with pytest.raises(ProcessLookupError):
            process.pidfd_send_signal(pidfd, signal.SIGTERM)
    finally:
        os.close(pidfd)


def test_a_file_is_fetched_from_another_process() -> None:
    read, write = os.pipe()
    go, went = os.pipe()
    pid = os.fork()
    if pid == 0:
        fd = process.sealed_memfd("theirs", b"their content")
        os.write(write, b"%d" % fd)
        os.read(go, 1)
        os._exit(0)
    number = int(os.read(read, 16))
    pidfd = process.pidfd_open(pid)
    fetched = process.pidfd_getfd(pidfd, number)
    assert os.pread(fetched, 100, 0) == b"their content"
    os.write(went, b"x")
    os.waitpid(pid, 0)
    for fd in (read, write, go, went, pidfd, fetched):
        os.close(fd)


def test_a_dead_parent_is_noticed() -> None:
    """PR_SET_PDEATHSIG: the grandchild ends with its parent."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            process.set_pdeathsig(signal.SIGKILL)
            os.write(write, b"ready")
            time.sleep(30)
        os.read(read, 5)
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    # The pipe ends when the grandchild, its last writer, has ended.
    assert os.read(read, 100) == b""
    os.close(read)
