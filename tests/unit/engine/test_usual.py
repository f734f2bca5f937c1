"""The usual container is what is planned for one without wishes: else nothing could be made ahead."""

from typing import Any

import pytest

from lodge.engine.planning import checks, launch
from lodge.engine.planning.launch import Found
from lodge.engine.planning.mount_wishes import MountWish
from lodge.engine.planning.usual import usual_config
from lodge.engine.settings import Settings
from lodge.kernel.cgroups.v1 import V1Hierarchy, V1Mount
from lodge.runtime.process.extras import Extras
from lodge.runtime.process.operation import Operation
from lodge.runtime.process.plan import Surroundings, plan_init
from lodge.runtime.process.prefab import Pattern
from lodge.spec.container import DeviceMapping
from lodge.spec.mount import Mount
from tests.unit.engine.samples import container, facts

SETTINGS = Settings()
PATTERN = Pattern.of(usual_config(SETTINGS.shm_size))
ROOT = (Mount("overlay", "overlay", ("lowerdir=/l", "upperdir=/u", "workdir=/w")),)


def left(mounts: list[MountWish] | None = None, network_path: str = "", **host: Any) -> list[str] | None:
    """What is left to do for a container with these wishes, in words; None when all is."""
    one = container(config={"hostname": "box"}, host={"network_mode": "none", **host})
    checks.check(one.wish, SETTINGS, facts())
    config = launch.runtime_config(
        one, Found(mounts=mounts or [], network_path=network_path), SETTINGS, facts()
    )
    group = V1Hierarchy([V1Mount("/cg/cpu", ("cpu",))]).group("/x")
    where = Surroundings(bundle="/b", place="/s/rootfs", cgroup=group, held=0, root_mounts=ROOT)
    rest: tuple[Operation, ...] | None = PATTERN.rest_of(plan_init(config, Extras(), where), (7, 8, 9))
    return None if rest is None else "\n".join(map(str, rest)).splitlines()


def bind(destination: str) -> MountWish:
    return MountWish(type="bind", source="/host", destination=destination)


def test_little_is_left_of_a_container_without_wishes() -> None:
    assert left() == [
        "unshare mount",
        "propagation of / := rslave",
        "root: mount -t overlay overlay /s/rootfs (lowerdir=/l,upperdir=/u,workdir=/w)",
        "attach /proc",
        "attach /dev",
        "attach /sys",
        "enter cgroup /x",
        "bind cgroups /sys/fs/cgroup (ro): cpu",
        "hostname box",
        "mkdir -p /",
        "pivot_root",
    ]


def test_in_a_network_that_was_made_ready_all_of_its_own_is_made() -> None:
    assert left(network_path="/run/net") == [
        "unshare mount",
        "join network /run/net",
        "propagation of / := rslave",
        "root: mount -t overlay overlay /s/rootfs (lowerdir=/l,upperdir=/u,workdir=/w)",
        "attach /proc",
        "attach /dev",
        "mount -t sysfs sysfs /sys (ro,nosuid,nodev,noexec)",
        "enter cgroup /x",
        "bind cgroups /sys/fs/cgroup (ro): cpu",
        "hostname box",
        "sysctl net.ipv4.ping_group_range=0 2147483647",
        "sysctl net.ipv4.ip_unprivileged_port_start=0",
        "mkdir -p /",
        "mask /sys/devices/virtual/powercap",
        "mask /sys/firmware",
        "pivot_root",
    ]


@pytest.mark.parametrize(
    ("wishes", "line"),
    [
        ({"mounts": [bind("/data")]}, "rbind /host /data (rprivate)"),
        (
            {"devices": [DeviceMapping(path_on_host="/dev/sda", path_in_container="/dev/disk")]},
            "mknod /dev/disk",
        ),
        ({"readonly_rootfs": True}, "root: read-only"),
    ],
)
def test_usual_wishes_are_done_on_top(wishes: dict[str, Any], line: str) -> None:
    rest = left(**wishes)
    assert rest is not None
    assert any(each.startswith(line) for each in rest)


@pytest.mark.parametrize(
    "wishes",
    [
        {"network_mode": "host"},
        {"pid_mode": "host"},
        {"ipc_mode": "none"},
        {"privileged": True},
        {"shm_size": 1 << 20},
        {"sysctls": {"net.ipv4.ip_forward": "1"}},
        {"masked_paths": []},
        {"mounts": [bind("/dev/shm")]},
        {"mounts": [bind("/sys/firmware")]},
        {"mounts": [bind("/proc/stat")]},
    ],
)
def test_other_containers_are_made_whole(wishes: dict[str, Any]) -> None:
    assert left(**wishes) is None
