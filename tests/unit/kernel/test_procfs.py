"""Names of kernel parameters, and reading through a /proc that is one."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.kernel import procfs


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.ip_forward", "sys/net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "sys/net/ipv4/ip_forward"),
        ("kernel.shmmax", "sys/kernel/shmmax"),
        ("net.ipv4.conf.eth0/100.forwarding", "sys/net/ipv4/conf/eth0.100/forwarding"),
        ("net/ipv4/conf/eth0.100/forwarding", "sys/net/ipv4/conf/eth0.100/forwarding"),
    ],
)
def test_names_of_parameters(name: str, path: str) -> None:
    assert procfs.sysctl_path(name) == path


@pytest.mark.parametrize(
    "name", ["", ".", "net..x", "/etc/passwd", "net/../../x", "../x", "a.", "a/./b", "x\0y"]
)
def test_what_is_no_parameter_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="kernel parameter"):
        procfs.sysctl_path(name)


@given(st.text("./ab", max_size=12))
def test_no_name_leaves_the_directory(name: str) -> None:
    try:
        path = procfs.sysctl_path(name)
    except ValueError:
        return
    assert os.path.normpath(path) == path
    assert path.startswith("sys/")


def test_a_directory_that_is_no_procfs_is_refused() -> None:
    fd = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError, match="no procfs"):
            procfs.open_in_procfs(fd, "etc/hostname", os.O_RDONLY)
    finally:
        os.close(fd)


def test_magic_links_are_refused() -> None:
    fd = procfs.open_procfs()
    try:
        with pytest.raises(OSError, match=r"Too many levels|cross-device"):
            procfs.open_in_procfs(fd, "self/cwd", os.O_PATH)
        assert procfs.read_file(fd, "self/comm").strip()
    finally:
        os.close(fd)
