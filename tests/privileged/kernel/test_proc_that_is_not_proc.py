"""hostile.md row 5: writes to /proc go to the kernel, or nowhere, whatever is mounted over it."""

import os
from pathlib import Path

import pytest

from lodge.kernel import mount as m
from lodge.kernel import namespaces as ns
from lodge.kernel import procfs
from tests.privileged.kernel.isolation import isolated

FORWARD = "net.ipv4.ip_forward"


def test_a_parameter_is_set_in_the_callers_namespaces() -> None:
    before = Path("/proc/sys/net/ipv4/ip_forward").read_text()

    def work() -> str:
        fd = procfs.open_procfs()
        wanted = "0" if procfs.read_file(fd, "sys/net/ipv4/ip_forward").strip() == "1" else "1"
        procfs.write_sysctl(fd, FORWARD, wanted)
        assert procfs.read_file(fd, "sys/net/ipv4/ip_forward").strip() == wanted
        procfs.write_sysctl(fd, "kernel.domainname", "there")
        return os.uname().nodename and Path("/proc/sys/kernel/domainname").read_text().strip()

    assert isolated(work, ns.CLONE_NEWNET | ns.CLONE_NEWUTS) == "there"
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == before


@pytest.mark.parametrize("covered", ["/proc", "/proc/sys", "/proc/sys/net"])
def test_what_covers_proc_gets_nothing(covered: str, tmp_path: Path) -> None:
    below = "sys/net/ipv4/ip_forward" if covered == "/proc" else "net/ipv4/ip_forward"
    bait = tmp_path / (below if covered != "/proc/sys/net" else "ipv4/ip_forward")
    bait.parent.mkdir(parents=True)
    bait.write_text("bait")

    def work() -> str:
        m.mount(str(tmp_path), covered, None, m.MS_BIND)
        fd = procfs.open_procfs()
        procfs.write_sysctl(fd, FORWARD, "1")
        return procfs.read_file(fd, "sys/net/ipv4/ip_forward").strip()

    assert isolated(work, ns.CLONE_NEWNET) == "1"
    assert bait.read_text() == "bait"


def test_an_open_proc_that_is_covered_later_refuses(tmp_path: Path) -> None:
    (tmp_path / "ipv4").mkdir()
    (tmp_path / "ipv4" / "ip_forward").write_text("bait")

    def work() -> None:
        fd = os.open("/proc", os.O_PATH)
        m.mount(str(tmp_path), "/proc/sys/net", None, m.MS_BIND)
        with pytest.raises(OSError, match="cross-device"):
            procfs.write_sysctl(fd, FORWARD, "1")

    isolated(work, ns.CLONE_NEWNET)
    assert (tmp_path / "ipv4" / "ip_forward").read_text() == "bait"


def test_self_is_the_caller_in_a_new_pid_namespace() -> None:
    def work() -> str:
        fd = procfs.open_procfs()
        procfs.write_file(fd, "self/oom_score_adj", "500")
        return f"{os.readlink('self', dir_fd=fd)} {procfs.read_file(fd, 'self/oom_score_adj').strip()}"

    assert isolated(work, ns.CLONE_NEWPID) == "1 500"


def test_an_error_names_the_file() -> None:
    def work() -> str | None:
        fd = procfs.open_procfs()
        with pytest.raises(OSError, match="Invalid argument") as caught:
            procfs.write_sysctl(fd, FORWARD, "many")
        return caught.value.filename

    assert isolated(work, ns.CLONE_NEWNET) == "/proc/sys/net/ipv4/ip_forward"
