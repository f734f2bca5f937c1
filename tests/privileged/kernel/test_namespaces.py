"""Namespaces: births into new ones, entries into existing ones, id maps, shifted clocks."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from lodge.kernel import namespaces as ns
from lodge.kernel import netlink, process
from lodge.kernel.cgroups.v2 import V2Hierarchy
from lodge.kernel.mount import mountinfo
from lodge.spec.runtime import IdMapping, TimeOffset
from tests.privileged.kernel.isolation import isolated


def test_a_child_is_born_in_all_new_namespaces() -> None:
    flags = ns.CLONE_NEWPID | ns.CLONE_NEWUTS | ns.CLONE_NEWIPC | ns.CLONE_NEWNET | ns.CLONE_NEWCGROUP
    names = ("pid", "uts", "ipc", "network", "cgroup", "mount")
    outside = {name: ns.namespace_id("self", name) for name in names}

    def work() -> str:
        assert os.getpid() == 1
        process.sethostname("inside")
        process.setdomainname("example")
        # /proc is still the parent's, where this process has its outer number.
        return f"{os.uname().nodename} {Path('/proc/sys/kernel/domainname').read_text().strip()}"

    assert isolated(work, flags) == "inside example"
    assert {name: ns.namespace_id("self", name) for name in names} == outside
    assert os.uname().nodename != "inside"


def test_a_clone_is_a_whole_python_fork() -> None:
    """Hooks run on both sides, children can have children, and the pidfd is the child's."""
    events: list[str] = []
    os.register_at_fork(
        before=lambda: events.append("before"),
        after_in_parent=lambda: events.append("parent"),
        after_in_child=lambda: events.append("child"),
    )
    pid, pidfd = ns.clone3(0)
    if pid == 0:
        ok = events == ["before", "child"]
        inner = os.fork()
        if inner == 0:
            os._exit(5)
        ok = ok and os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]) == 5
        os._exit(7 if ok else 8)
    assert events[-2:] == ["before", "parent"]
    result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    assert result is not None
    assert (result.si_pid, result.si_status) == (pid, 7)
    assert not os.get_inheritable(pidfd)
    os.close(pidfd)


def test_a_wished_for_pid() -> None:
    def work() -> int:
        pid, _ = ns.clone3(0, set_tid=[77])
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return pid

    assert isolated(work, ns.CLONE_NEWPID) == "77"


def test_a_failed_clone_leaves_the_parent_whole() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        ns.clone3(1 << 63)
    assert os.waitstatus_to_exitcode(os.system("true")) == 0


def test_a_birth_in_a_group() -> None:
    top = next((mount.mount_point for mount in mountinfo() if mount.fstype == "cgroup2"), None)
    if top is None:
        pytest.skip("no cgroup2 here")
    group = V2Hierarchy(top).group(f"/lodge-birth-{os.getpid()}")
    group.create()
    fd = group.open_directory()
    pid, pidfd = ns.clone3(0, cgroup_fd=fd)
    if pid == 0:
        signal.pause()
    try:
        assert group.pids() == [pid]
    finally:
        process.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pidfd)
        os.close(fd)
        group.remove()


def test_entering_anothers_namespaces() -> None:
    read, write = os.pipe()
    pid, pidfd = ns.clone3(ns.CLONE_NEWUTS | ns.CLONE_NEWNET)
    if pid == 0:
        process.sethostname("other")
        os.write(write, b"x")
        signal.pause()
    os.read(read, 1)

    def by_file() -> str:
        fd = ns.open_namespace(pid, "uts")
        ns.setns(fd, ns.CLONE_NEWUTS)
        return os.uname().nodename

    def by_pidfd() -> str:
        ns.setns(pidfd, ns.CLONE_NEWUTS | ns.CLONE_NEWNET)
        return f"{os.uname().nodename} {[name for _, name in socket.if_nameindex()]}"

    try:
        assert isolated(by_file) == "other"
        assert isolated(by_pidfd) == "other ['lo']"
        assert ns.namespace_id(pid, "uts") != ns.namespace_id("self", "uts")
    finally:
        process.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)
        for fd in (read, write, pidfd):
            os.close(fd)


def test_id_maps() -> None:
    go, went = os.pipe()
    answer, answered = os.pipe()
    pid, pidfd = ns.clone3(ns.CLONE_NEWUSER)
    if pid == 0:
        os.read(go, 1)
        process.setgroups([])
        process.setresgid(5, 5, 5)
        process.setresuid(7, 7, 7)
        os.write(answered, f"{os.getresuid()} {os.getresgid()} {os.getgroups()}".encode())
        signal.pause()
    uid_map = [IdMapping(container_id=0, host_id=100000, size=10)]
    gid_map = [*uid_map, IdMapping(container_id=10, host_id=300000, size=1)]
    ns.write_id_maps(pid, uid_map, gid_map)
    os.write(went, b"x")
    try:
        assert os.read(answer, 100) == b"(7, 7, 7) (5, 5, 5) []"
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Uid:\t100007\t100007\t100007" in status
        assert "Gid:\t100005\t100005\t100005" in status
        with pytest.raises(PermissionError, match="uid_map"):
            ns.write_id_maps(pid, [], gid_map)
    finally:
        process.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)
        for fd in (go, went, answer, answered, pidfd):
            os.close(fd)


@pytest.mark.skipif(not Path("/proc/self/ns/time").exists(), reason="this kernel has no time namespaces")
def test_shifted_clocks() -> None:
    def work() -> int:
        ns.unshare(ns.CLONE_NEWTIME)
        ns.write_time_offsets(
            {"monotonic": TimeOffset(secs=1000), "boottime": TimeOffset(secs=5, nanosecs=1)}
        )
        before = time.monotonic()
        read, write = os.pipe()
        if os.fork() == 0:
            os.write(write, b"%d" % (time.monotonic() - before))
            os._exit(0)
        os.wait()
        return int(os.read(read, 20))

    assert int(isolated(work)) in (1000, 1001)


def test_loopback_comes_up() -> None:
    def work() -> str:
        netlink.set_link_up("lo")
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), 2).close()
        with pytest.raises(OSError, match="No such device") as caught:
            netlink.set_link_up("nope0")
        return str(caught.value.filename)

    assert isolated(work, ns.CLONE_NEWNET) == "nope0"


def test_a_keyring_of_ones_own() -> None:
    assert int(isolated(lambda: process.join_session_keyring("lodge-test"))) > 0
