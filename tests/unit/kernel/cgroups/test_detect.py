"""The choice of an implementation from a mount table."""

import pytest

from lodge.errors import Unsupported
from lodge.kernel.cgroups.detect import choose
from lodge.kernel.cgroups.v1 import V1Hierarchy
from lodge.kernel.cgroups.v2 import V2Hierarchy
from lodge.kernel.mount import Mount, parse_mountinfo


def table(*lines: str) -> list[Mount]:
    return parse_mountinfo("\n".join(lines).encode())


V2 = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate"
UNIFIED = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
SYSTEMD = "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd"
CPU = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
MEMORY = "33 31 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory"


def test_only_version_2() -> None:
    chosen = choose(table(V2))
    assert isinstance(chosen, V2Hierarchy)
    assert chosen.directory == "/sys/fs/cgroup"


def test_only_version_1() -> None:
    chosen = choose(table(SYSTEMD, CPU, MEMORY))
    assert isinstance(chosen, V1Hierarchy)
    assert chosen.controllers == {"name=systemd", "cpu", "cpuacct", "memory"}
    assert [mount.root for mount in chosen.mounts] == ["/", "/", "/docker/abc"]


def test_hybrid_is_version_1() -> None:
    assert choose(table(UNIFIED, SYSTEMD, CPU)).version == 1


def test_systemds_own_tree_beside_version_2_is_version_2() -> None:
    assert choose(table(SYSTEMD, V2)).version == 2


def test_a_second_mount_of_a_controller_is_not_taken_twice() -> None:
    again = CPU.replace("/sys/fs/cgroup/cpu,cpuacct", "/elsewhere")
    chosen = choose(table(CPU, again))
    assert isinstance(chosen, V1Hierarchy)
    assert len(chosen.mounts) == 1


def test_none_at_all() -> None:
    with pytest.raises(Unsupported, match="no control groups"):
        choose(table("1 0 0:1 / / rw - tmpfs none rw"))
