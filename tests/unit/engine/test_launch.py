"""The plan of a start: what the runtime is told, for wishes of every kind."""

from __future__ import annotations

from typing import Any

import pytest

from lodge.engine.models import Container, ExecWish
from lodge.engine.planning import checks, launch
from lodge.engine.planning.defaults import CAPABILITIES, DEVICE_RULES
from lodge.engine.planning.launch import Found
from lodge.engine.planning.mount_wishes import MountWish
from lodge.engine.planning.namespaces import Shared
from lodge.engine.settings import Settings
from lodge.errors import InvalidArgument
from lodge.kernel.capabilities import NAMES
from lodge.runtime.process.extras import CopyUp, Extras
from lodge.spec.container import DeviceMapping, Ulimit
from lodge.spec.runtime import DeviceRule, Mount, RuntimeConfig
from tests.unit.engine.samples import container, facts

SETTINGS = Settings()


def planned(
    found: Found | None = None, config: dict[str, Any] | None = None, **host: Any
) -> tuple[Container, RuntimeConfig]:
    one = container(config={"hostname": "box", **(config or {})}, host={"network_mode": "none", **host})
    checks.check(one.wish, SETTINGS, facts())
    return one, launch.runtime_config(one, found or Found(), SETTINGS, facts())


def mount_at(config: RuntimeConfig, place: str) -> Mount:
    (found,) = [mount for mount in config.mounts if mount.destination == place]
    return found


def test_the_default_is_as_strict_as_dockers() -> None:
    one, config = planned()
    assert config.process is not None
    assert config.linux is not None
    assert config.process.args == ["true"]
    assert config.process.cwd == "/"
    assert config.process.env == [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOSTNAME=box",
    ]
    capabilities = config.process.capabilities
    assert capabilities is not None
    assert tuple(capabilities.bounding) == tuple(capabilities.effective) == CAPABILITIES
    assert capabilities.inheritable == capabilities.ambient == []
    assert not config.process.no_new_privileges
    assert [n.type for n in config.linux.namespaces] == ["mount", "network", "ipc", "pid", "uts"]
    assert config.linux.seccomp is not None
    assert config.linux.seccomp.default_action == "SCMP_ACT_ERRNO"
    assert config.linux.resources is not None
    assert config.linux.resources.devices == list(DEVICE_RULES)
    assert config.linux.cgroups_path == f"/lodge/{one.id}"
    assert config.linux.masked_paths == one.wish.host.masked_paths
    assert config.linux.sysctl["net.ipv4.ip_unprivileged_port_start"] == "0"
    assert [m.destination for m in config.mounts] == [
        "/proc",
        "/dev",
        "/dev/pts",
        "/sys",
        "/sys/fs/cgroup",
        "/dev/mqueue",
        "/dev/shm",
    ]
    assert "ro" in mount_at(config, "/sys").options
    assert "ro" in mount_at(config, "/sys/fs/cgroup").options
    assert f"size={64 << 20}" in mount_at(config, "/dev/shm").options


def test_privileged_has_everything() -> None:
    _, config = planned(privileged=True)
    assert config.process is not None
    assert config.linux is not None
    assert config.process.capabilities is not None
    assert config.process.capabilities.bounding == list(NAMES)
    assert config.linux.seccomp is None
    assert config.linux.resources is not None
    assert config.linux.resources.devices == [DeviceRule(allow=True, access="rwm")]
    assert [d.path for d in config.linux.devices] == ["/dev/null", "/dev/sda"]
    assert "ro" not in mount_at(config, "/sys").options
    assert "ro" not in mount_at(config, "/sys/fs/cgroup").options
    assert "cgroup" not in [n.type for n in config.linux.namespaces]


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        (["NET_ADMIN"], [], [*CAPABILITIES, "CAP_NET_ADMIN"]),
        (["cap_net_admin", "net_admin"], ["chown"], [*CAPABILITIES[1:], "CAP_NET_ADMIN"]),
        (["SYS_TIME"], ["ALL"], ["CAP_SYS_TIME"]),
        ([], ["ALL"], []),
        (["ALL"], ["SYS_ADMIN"], [name for name in NAMES if name != "CAP_SYS_ADMIN"]),
    ],
)
def test_capabilities(add: list[str], drop: list[str], expected: list[str]) -> None:
    _, config = planned(cap_add=add, cap_drop=drop)
    assert config.process is not None
    assert config.process.capabilities is not None
    assert config.process.capabilities.bounding == expected


def test_version_2_has_a_cgroup_namespace_and_so_has_who_asks() -> None:
    one = container(host={"network_mode": "none"})
    checks.check(one.wish, SETTINGS, facts(cgroup_version=2))
    assert one.wish.host.cgroupns_mode == "private"
    _, config = planned(cgroupns_mode="private")
    assert config.linux is not None
    assert config.linux.namespaces[-1].type == "cgroup"


def test_namespaces_of_the_host_are_left_out_and_those_of_others_joined() -> None:
    _, config = planned(
        Found(shared=Shared(network=11, pid=12)),
        network_mode="container:x",
        pid_mode="container:y",
        ipc_mode="host",
        uts_mode="host",
        cgroupns_mode="host",
    )
    assert config.linux is not None
    assert [(n.type, n.path) for n in config.linux.namespaces] == [
        ("mount", ""),
        ("network", "/proc/11/ns/net"),
        ("pid", "/proc/12/ns/pid"),
    ]
    assert config.hostname == ""
    assert config.linux.sysctl == {}
    assert mount_at(config, "/dev/shm").source == "/dev/shm"


def test_mounts_cover_what_they_cover_and_the_shallow_come_first() -> None:
    wishes = [
        MountWish(type="bind", source="/b", destination="/a/b", read_only=True, propagation="rprivate"),
        MountWish(type="bind", source="/a", destination="/a", recursive=False, read_only=True),
        MountWish(type="tmpfs", destination="/dev/shm", tmpfs_options=("exec", "size=1m")),
        MountWish(type="bind", source="/h", destination="/etc/hosts", propagation="rslave"),
    ]
    found = Found(mounts=wishes, files=[("/etc/hosts", "/x/hosts"), ("/etc/hostname", "/x/hostname")])
    _, config = planned(found)
    places = [m.destination for m in config.mounts]
    assert places.index("/a") < places.index("/a/b")
    assert places.count("/dev/shm") == places.count("/etc/hosts") == 1
    assert mount_at(config, "/a").options == ["bind", "ro", "rprivate"]
    assert mount_at(config, "/a/b").options == ["rbind", "rro", "rprivate"]
    assert mount_at(config, "/dev/shm").options == ["nosuid", "nodev", "rprivate", "exec", "size=1m"]
    assert mount_at(config, "/etc/hosts").source == "/h"
    assert mount_at(config, "/etc/hostname").options == ["rbind", "rprivate"]
    assert config.linux is not None
    assert config.linux.rootfs_propagation == "rslave"


def test_a_mounted_dev_takes_all_below_along() -> None:
    _, config = planned(Found(mounts=[MountWish(type="bind", source="/d", destination="/dev")]))
    assert [m.destination for m in config.mounts if m.destination.startswith("/dev")] == ["/dev"]


def test_a_read_only_root_makes_the_engines_files_read_only() -> None:
    _, config = planned(Found(files=[("/etc/hosts", "/x/hosts")]), readonly_rootfs=True)
    assert config.root is not None
    assert config.root.readonly
    assert "ro" in mount_at(config, "/etc/hosts").options


def test_no_ipc_has_no_shared_memory() -> None:
    _, config = planned(ipc_mode="none")
    assert "/dev/shm" not in [m.destination for m in config.mounts]


def test_devices_and_rules() -> None:
    mapping = DeviceMapping(path_on_host="/dev/sda", path_in_container="/dev/xvda", cgroup_permissions="r")
    _, config = planned(devices=[mapping], device_cgroup_rules=["c 42:* rmw"])
    assert config.linux is not None
    assert config.linux.resources is not None
    assert [(d.path, d.type, d.major, d.minor) for d in config.linux.devices] == [("/dev/xvda", "b", 8, 0)]
    assert config.linux.resources.devices[len(DEVICE_RULES) :] == [
        DeviceRule(allow=True, type="b", major=8, minor=0, access="r"),
        DeviceRule(allow=True, type="c", major=42, minor=None, access="rmw"),
    ]


def test_a_device_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="error gathering device information"):
        planned(devices=[DeviceMapping(path_on_host="/etc")])


def test_the_program_with_an_init_limits_and_a_terminal() -> None:
    _, config = planned(
        Found(init_path="/usr/bin/tini"),
        config={"tty": True, "env": ["TERM=dumb", "A=b", "PATH=/bin"]},
        ulimits=[Ulimit(name="nofile", soft=1024, hard=-1)],
        console_size=[24, 80],
        security_opt=["no-new-privileges", "seccomp=unconfined"],
        oom_score_adj=7,
    )
    process = config.process
    assert process is not None
    assert config.linux is not None
    assert process.args == ["/sbin/docker-init", "--", "true"]
    assert mount_at(config, "/sbin/docker-init").source == "/usr/bin/tini"
    assert process.terminal
    assert process.console_size is not None
    assert (process.console_size.height, process.console_size.width) == (24, 80)
    assert process.env == ["PATH=/bin", "HOSTNAME=box", "TERM=dumb", "A=b"]
    assert (process.rlimits[0].type, process.rlimits[0].hard) == ("RLIMIT_NOFILE", 2**64 - 1)
    assert process.no_new_privileges
    assert process.oom_score_adj == 7
    assert config.linux.seccomp is None


def test_extras() -> None:
    one, _ = planned(config={"user": "web:www"}, group_add=["audio"])
    found = Found(fresh=[("/data", "/volumes/x")])
    assert launch.extras(one, found, reaper=True) == Extras(
        user="web:www",
        groups=("audio",),
        copy_up=(CopyUp(destination="/data", source="/volumes/x"),),
        reaper=True,
    )


def test_an_exec_has_the_containers_rights_and_its_own_wishes() -> None:
    one, _ = planned(config={"env": ["A=b", "C=d"], "working_dir": "/w"}, cap_drop=["ALL"])
    wish = ExecWish(command=["id"], env=["A=z"], terminal=True)
    process = launch.exec_process(one, wish, SETTINGS, facts())
    assert process.env[-3:] == ["TERM=xterm", "A=z", "C=d"]
    assert process.cwd == "/w"
    assert process.capabilities is not None
    assert process.capabilities.bounding == []
    strong = launch.exec_process(one, ExecWish(command=["id"], privileged=True), SETTINGS, facts())
    assert strong.capabilities is not None
    assert strong.capabilities.bounding == list(NAMES)
    assert launch.exec_extras(one, ExecWish(command=["id"], user="1")).user == "1"
