"""Exec, pause, limits, figures: what is done to a container that runs."""

import contextlib
import os
import signal
import time

import pytest

from lodge.errors import Conflict, LodgeError, StartFailed
from lodge.runtime.contract import StdioRequest
from lodge.runtime.process import Extras
from lodge.spec.runtime import Memory, Pids, Resources
from tests.privileged.runtime_process.conftest import Box, finish


def test_an_exec_lives_in_the_same_world(box: Box) -> None:
    box.start("sleep", "60")
    result = box.exec(
        "sh", "-c", "hostname; ls /proc/1/fd | wc -l; cat /proc/1/comm; echo $$; cat /proc/self/cgroup"
    )
    name, descriptors, command, pid, *groups = result.out.splitlines()
    assert (name, descriptors, command) == ("box", "3", "sleep")
    assert int(pid) > 1
    assert {line.rpartition(":")[2] for line in groups} == {"/"}
    assert result.err == ""


def test_all_namespaces_are_those_of_the_init(box: Box) -> None:
    init = box.start("sleep", "60")
    assert box.made is not None
    other = box.made.execute(box.exec_process("sleep", "60"), StdioRequest())
    for name in ("mnt", "pid", "ipc", "uts", "net", "cgroup", "user", "time"):
        assert os.readlink(f"/proc/{other.pid}/ns/{name}") == os.readlink(f"/proc/{init.pid}/ns/{name}")
    assert set(box.made.processes()) == {init.pid, other.pid}
    box.made.signal_all(signal.SIGKILL)
    assert finish(other).code == 137
    assert init.reap() == 137


def test_the_keeper_stays_where_it_was(box: Box) -> None:
    before = {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")}
    descriptors = set(os.listdir("/proc/self/fd"))
    box.start("sleep", "60")
    box.exec("true")
    assert {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")} == before
    box.remove()
    assert set(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (("nope",), 127, 'exec: "nope": executable file not found in $PATH'),
        (("/nope",), 127, "no such file or directory"),
        (("/etc",), 126, "is a directory"),
        (("/etc/passwd",), 126, "permission denied"),
    ],
)
def test_programs_that_are_none(box: Box, args: tuple[str, ...], code: int, text: str) -> None:
    box.start("sleep", "60")
    with pytest.raises(StartFailed, match=text.replace("$", r"\$")) as caught:
        box.exec(*args)
    assert caught.value.exit_code == code


def test_its_own_user_directory_and_environment(box: Box) -> None:
    box.start("sleep", "60")
    out = box.exec(
        "sh",
        "-c",
        "id -u; pwd; echo $A; umask",
        user={"uid": 5, "umask": 63},
        cwd="/tmp",
        env=["PATH=/bin", "A=b"],
    )
    assert out.out.split() == ["5", "/tmp", "b", "0077"]


def test_a_user_by_name(box: Box) -> None:
    box.start("sleep", "60")
    assert box.made is not None
    program = box.made.execute(box.exec_process("id"), StdioRequest(), Extras(user="bob:wheel"))
    assert "uid=1000(bob) gid=10(wheel)" in finish(program).out


def test_a_directory_that_is_missing(box: Box) -> None:
    box.start("sleep", "60")
    with pytest.raises(StartFailed) as caught:
        box.exec("true", cwd="/nonexistent")
    assert caught.value.message == (
        'chdir to cwd ("/nonexistent") set in config.json failed: no such file or directory'
    )
    assert caught.value.exit_code == 127


def test_where_it_may_run(box: Box) -> None:
    box.start("sleep", "60")
    out = box.exec("grep", "Cpus_allowed_list", "/proc/self/status", execCPUAffinity={"final": "0"}).out
    assert out.split() == ["Cpus_allowed_list:", "0"]


def test_an_exec_with_a_terminal(box: Box) -> None:
    box.start("sleep", "60")
    assert box.made is not None
    request = StdioRequest(terminal=True, window=(10, 20))
    program = box.made.execute(box.exec_process("sh", "-c", "tty; stty size"), request)
    assert program.reap() == 0
    text = b""
    with contextlib.suppress(OSError):  # EIO is the end of a terminal
        while True:
            text += os.read(program.streams.terminal or -1, 999)
    assert text.split() == [b"/dev/pts/0", b"10", b"20"]
    program.streams.close()
    program.close()


def test_more_rights_than_the_init(box: Box) -> None:
    box.process["capabilities"] = {}
    box.start("sleep", "60")
    sets = {key: ["CAP_SYS_ADMIN"] for key in ("effective", "permitted", "bounding")}
    assert "CapEff:\t0000000000200000" in box.exec("cat", "/proc/self/status", capabilities=sets).out


def test_a_hundred_in_a_row_leave_nothing(box: Box) -> None:
    box.start("sleep", "60")
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        assert box.exec("true").code == 0
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert box.made is not None
    assert len(box.made.processes()) == 1


def test_pause_and_resume(box: Box) -> None:
    init = box.start("sh", "-c", "while :; do echo x; sleep 0.01; done")
    assert box.made is not None
    out = init.streams.stdout or -1
    assert os.read(out, 1) == b"x"
    box.made.pause()
    with pytest.raises(Conflict, match="paused"):
        box.exec("true")
    os.set_blocking(out, False)
    with contextlib.suppress(BlockingIOError):
        os.read(out, 1 << 16)
    time.sleep(0.1)
    with pytest.raises(BlockingIOError):
        os.read(out, 1)
    box.made.resume()
    assert box.exec("true").code == 0


def test_a_paused_container_can_be_removed(box: Box) -> None:
    box.start("sleep", "60")
    assert box.made is not None
    box.made.pause()
    box.made.remove()
    assert box.init is not None
    assert box.init.reap() == 137


def test_limits_hold_and_can_be_changed(box: Box) -> None:
    box.linux["resources"] = {"memory": {"limit": 64 << 20}, "pids": {"limit": 30}}
    box.start("sleep", "60")
    assert box.made is not None
    stats = box.made.stats()
    assert (stats.memory.limit, stats.pids.limit, stats.pids.current) == (64 << 20, 30, 1)
    box.made.update(Resources(memory=Memory(limit=32 << 20), pids=Pids(limit=10)))
    stats = box.made.stats()
    assert (stats.memory.limit, stats.pids.limit) == (32 << 20, 10)


def test_a_fork_bomb_meets_its_limit(box: Box) -> None:
    box.linux["resources"] = {"pids": {"limit": 20}}
    box.start("sh", "-c", "f() { f | f & }; f; sleep 60")
    time.sleep(0.3)
    assert box.made is not None
    assert len(box.made.processes()) <= 20
    box.made.remove()


def test_devices_are_refused_that_are_not_granted(box: Box) -> None:
    box.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    box.linux["devices"] = [{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11}]
    result = box.sh("echo x > /dev/null && echo null; head -c 1 /dev/kmsg || echo refused")
    assert result.out == "null\nrefused\n"
    assert "Operation not permitted" in result.err


def test_out_of_memory_is_counted(box: Box) -> None:
    box.linux["resources"] = {"memory": {"limit": 8 << 20, "swap": 8 << 20}}
    init = box.start("sh", "-c", "x=x; while :; do x=$x$x; done")
    assert init.reap() == 137
    assert box.made is not None
    assert box.made.oom_kills() == 1


def test_programs_leave_no_trace_when_they_fork_while_dying(box: Box) -> None:
    box.start("sh", "-c", "while :; do sh -c 'sleep 0.01 & sleep 0.01 &' & sleep 0.002; done")
    time.sleep(0.2)
    assert box.made is not None
    box.made.remove()
    assert not box.made.cgroup.exists()


def test_after_its_end_nothing_can_be_done(box: Box) -> None:
    init = box.start("true")
    init.reap()
    assert box.made is not None
    pidfd = os.pidfd_open(os.getpid())
    descriptors = set(os.listdir("/proc/self/fd"))
    for call in (box.made.pause, lambda: box.exec("true")):
        with pytest.raises((LodgeError, ProcessLookupError)):
            call()
    box.made.remove()
    with pytest.raises(Conflict, match="not running"):
        box.made.execute_beside(pidfd, box.exec_process("true"), StdioRequest())
    assert set(os.listdir("/proc/self/fd")) == descriptors
    os.close(pidfd)
