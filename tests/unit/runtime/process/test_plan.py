"""The printed plan, without being root: what is done, in which order, and what is refused."""

import textwrap
from typing import Any

import msgspec
import pytest

from lodge.errors import InvalidArgument, Unsupported
from lodge.kernel import capabilities
from lodge.kernel import namespaces as ns
from lodge.kernel.cgroups import Cgroup
from lodge.kernel.cgroups.v1 import V1Hierarchy, V1Mount
from lodge.kernel.cgroups.v2 import V2Hierarchy
from lodge.runtime.process.extras import CopyUp, Extras
from lodge.runtime.process.plan import Surroundings, exec_flags, plan_init
from lodge.spec.mount import Mount
from lodge.spec.runtime import RuntimeConfig

OVERLAY = (Mount("overlay", "overlay", ("lowerdir=/l", "upperdir=/u", "workdir=/w")),)
ALL = ("mount", "pid", "ipc", "uts", "network", "cgroup")
PLAIN = Extras()
NOTIFY = {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}


def surroundings(version: int = 1, **more: Any) -> Surroundings:
    hierarchy = (
        V1Hierarchy(
            [V1Mount("/cg/cpu,cpuacct", ("cpu", "cpuacct")), V1Mount("/cg/systemd", ("name=systemd",))]
        )
        if version == 1
        else V2Hierarchy("/cg")
    )
    group: Cgroup = hierarchy.group("/lodge/x")
    return Surroundings(bundle="/bundle", place="/state/rootfs", cgroup=group, held=(1 << 41) - 1, **more)


def config(changes: dict[str, Any] | None = None, **linux: Any) -> RuntimeConfig:
    whole: dict[str, Any] = {
        "ociVersion": "1.2.1",
        "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["true"], "env": ["PATH=/bin"]},
        "linux": {"namespaces": [{"type": kind} for kind in ALL], **linux},
    }
    whole.update(changes or {})
    return msgspec.convert(whole, RuntimeConfig)


def printed(
    changes: dict[str, Any] | None = None, extras: Extras = PLAIN, version: int = 1, **linux: Any
) -> list[str]:
    return str(plan_init(config(changes, **linux), extras, surroundings(version))).splitlines()


def test_the_smallest_plan() -> None:
    lines = printed()
    without_devices = [line for line in lines if not line.startswith(("mknod", "ln "))]
    assert (
        without_devices
        == textwrap.dedent("""\
        clone mount pid ipc uts network
        propagation of / := rslave
        root: bind /bundle/rootfs
        enter cgroup /lodge/x, unshare cgroup
        ip link set lo up
        mkdir -p /
        pivot_root
        cwd /
        user 0:0 groups -
        capabilities -
        exec true""").splitlines()
    )


def test_a_container_of_dockers_kind() -> None:
    mounts = [
        {"destination": "/proc", "type": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "options": ["nosuid", "mode=755"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["ro", "nosuid"]},
        {"destination": "/data", "type": "bind", "source": "/src", "options": ["rbind", "ro", "rprivate"]},
    ]
    lines = printed(
        {"mounts": mounts, "hostname": "box", "root": {"path": "rootfs", "readonly": True}},
        Extras(user="bob:wheel", groups=("audio",), copy_up=(CopyUp("/data", "/volumes/v"),)),
        maskedPaths=["/proc/kcore"],
        readonlyPaths=["/proc/sys"],
        sysctl={"net.ipv4.ip_forward": "1"},
    )
    devices = [line for line in lines if line.startswith(("mknod", "ln "))]
    assert len(devices) >= 11
    assert "mknod /dev/null crw-rw-rw- 1:3 0:0" in devices
    rest = [line for line in lines if line not in devices]
    assert (
        rest
        == textwrap.dedent("""\
        clone mount pid ipc uts network
        propagation of / := rslave
        root: bind /bundle/rootfs
        copy up /data into /volumes/v if that is empty
        mount -t proc proc /proc (nosuid,nodev,noexec)
        mount -t tmpfs tmpfs /dev (nosuid,mode=755)
        enter cgroup /lodge/x, unshare cgroup
        mount cgroups /sys/fs/cgroup (ro): cpu,cpuacct systemd
        rbind /src /data (ro,rprivate)
        ip link set lo up
        hostname box
        sysctl net.ipv4.ip_forward=1
        mkdir -p /
        read-only /proc/sys
        mask /proc/kcore
        root: read-only
        pivot_root
        cwd /
        user 'bob:wheel' groups audio
        capabilities -
        exec true""").splitlines()
    )


def test_roots_of_mounts() -> None:
    plan = str(plan_init(config(), Extras(), surroundings(root_mounts=OVERLAY)))
    assert "root: mount -t overlay overlay /state/rootfs (lowerdir=/l,upperdir=/u,workdir=/w)" in plan
    assert "bind /bundle" not in plan


def test_version_2_mounts_its_own_tree() -> None:
    mounts = [{"destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["ro"]}]
    assert "mount -t cgroup2 cgroup /sys/fs/cgroup (ro)" in printed({"mounts": mounts}, version=2)
    shared = [{"type": kind} for kind in ALL if kind != "cgroup"]
    lines = printed({"mounts": mounts}, version=2, namespaces=shared)
    assert "bind /cg/lodge/x /sys/fs/cgroup (ro)" in lines
    assert "enter cgroup /lodge/x" in lines


def test_a_read_only_tmpfs_is_closed_at_the_end() -> None:
    mounts = [
        {"destination": "/x", "type": "tmpfs", "options": ["ro", "size=1m"]},
        {"destination": "/x/y", "type": "bind", "source": "/s", "options": ["bind"]},
    ]
    lines = printed({"mounts": mounts})
    assert "mount -t tmpfs tmpfs /x (size=1m)" in lines
    assert lines.index("bind /s /x/y") < lines.index("read-only: /x")


def test_namespaces_by_path() -> None:
    spaces = [
        {"type": "mount"},
        {"type": "pid", "path": "/proc/7/ns/pid"},
        {"type": "network", "path": "/run/netns/n"},
        {"type": "user", "path": "/proc/7/ns/user"},
        {"type": "time"},
    ]
    lines = printed(namespaces=spaces, timeOffsets={"boottime": {"secs": -3}})
    assert lines[:6] == [
        "clone mount time",
        "born in user /proc/7/ns/user",
        "born in pid /proc/7/ns/pid",
        "clock boottime -3.000000000",
        "join network /run/netns/n",
        "propagation of / := rslave",
    ]
    assert "ip link set lo up" not in lines


def test_a_user_namespace_binds_devices_and_is_entered_after_the_root() -> None:
    mapping = [{"containerID": 0, "hostID": 1000, "size": 10}]
    spaces = [{"type": kind} for kind in (*ALL, "user")]
    lines = printed(namespaces=spaces, uidMappings=mapping, gidMappings=mapping)
    assert "bind /dev/null /dev/null" in lines
    assert not any(line.startswith("mknod") for line in lines)
    root = lines.index("root: bind /bundle/rootfs")
    assert lines[root + 1] == "become root of the user namespace"


def test_hooks_and_terminal_have_their_places() -> None:
    hooks = {
        stage: [{"path": f"/{stage}"}]
        for stage in ("prestart", "createContainer", "startContainer", "poststop")
    }
    process = {"cwd": "/", "args": ["sh"], "terminal": True, "consoleSize": {"height": 24, "width": 80}}
    lines = printed({"hooks": hooks, "process": process})
    order = [
        lines.index(line)
        for line in (
            "hooks prestart, createRuntime (by the keeper)",
            "hook createContainer /createContainer",
            "terminal 24x80, bound to /dev/console",
            "pivot_root",
        )
    ]
    assert order == sorted(order)


def test_rights_are_printed() -> None:
    process = {
        "cwd": "/w",
        "args": ["sh", "-c"],
        "user": {"uid": 1, "gid": 2, "additionalGids": [3, 4]},
        "noNewPrivileges": True,
        "capabilities": {"permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]},
    }
    assert printed({"process": process})[-5:] == [
        "cwd /w",
        "user 1:2 groups 3,4",
        "capabilities CAP_KILL",
        "no_new_privs",
        "exec sh -c",
    ]


def test_shared_propagation_comes_back_after_the_pivot() -> None:
    lines = printed(rootfsPropagation="rshared")
    first = lines.index("propagation of / := rshared")
    assert lines[first + 1 : first + 3] == [
        "propagation around /bundle/rootfs := private",
        "root: bind /bundle/rootfs",
    ]
    assert lines[lines.index("pivot_root") + 1] == "propagation of the root := rshared"


def test_all_devices_of_the_host_are_left_alone() -> None:
    mounts = [{"destination": "/dev/", "type": "bind", "source": "/dev", "options": ["rbind"]}]
    assert not any(line.startswith(("mknod", "ln")) for line in printed({"mounts": mounts}))


def test_an_exec_joins_all_but_the_pid_namespace() -> None:
    linux = config().linux
    assert linux is not None
    wanted = ns.CLONE_NEWNS | ns.CLONE_NEWIPC | ns.CLONE_NEWUTS | ns.CLONE_NEWNET | ns.CLONE_NEWCGROUP
    assert exec_flags(linux) == wanted


@pytest.mark.parametrize(
    ("changes", "linux", "message"),
    [
        ({"process": None}, {}, "process: a container needs one"),
        ({"linux": None}, {}, "another platform"),
        ({"root": None}, {}, "root: a container needs one"),
        ({"root": {"path": "/"}}, {}, "the host's own root"),
        ({"process": {"cwd": "/", "args": []}}, {}, "args must not be empty"),
        ({"process": {"cwd": "x", "args": ["a"]}}, {}, "cwd must be an absolute path"),
        ({"process": {"cwd": "/", "args": ["a\0b"]}}, {}, "null byte"),
        ({"process": {"cwd": "/", "args": ["a"], "env": ["HOME"]}}, {}, "invalid environment variable"),
        ({}, {"namespaces": []}, "mount namespace of its own"),
        ({}, {"namespaces": [{"type": "mount"}, {"type": "mount"}]}, "given twice"),
        ({}, {"namespaces": [{"type": "mount"}, {"type": "moon"}]}, "unknown type 'moon'"),
        ({}, {"namespaces": [{"type": "mount"}, {"type": "pid", "path": "x"}]}, "must be absolute"),
        ({}, {"namespaces": [{"type": "mount"}, {"type": "user"}]}, "needs uidMappings"),
        ({}, {"uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]}, "user namespace is needed"),
        ({}, {"timeOffsets": {"boottime": {"secs": 1}}}, "time namespace is needed"),
        ({"hostname": "x"}, {"namespaces": [{"type": "mount"}]}, "UTS namespace"),
        (
            {},
            {"sysctl": {"kernel.panic": "1"}},
            'sysctl "kernel.panic" is not in a separate kernel namespace',
        ),
        ({}, {"sysctl": {"net.x": "1"}, "namespaces": [{"type": "mount"}]}, "host's network namespace"),
        ({}, {"rootfsPropagation": "sideways"}, "unknown propagation"),
        ({}, {"devices": [{"path": "/dev/x", "type": "z"}]}, "unknown type 'z'"),
        ({"mounts": [{"destination": "/x", "type": "bind"}]}, {}, "needs a source"),
        ({"mounts": [{"destination": "/x"}]}, {}, "a type is needed"),
        (
            {
                "mounts": [
                    {"destination": "/x", "type": "bind", "source": "/s", "options": ["bind", "size=1"]}
                ]
            },
            {},
            "unknown option 'size=1' for a bind",
        ),
        ({"mounts": [{"destination": "/x", "type": "tmpfs", "options": ["idmap"]}]}, {}, "only a bind"),
        ({"mounts": [{"destination": "/x", "type": "proc", "options": ["tmpcopyup"]}]}, {}, "for a tmpfs"),
        (
            {},
            {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [NOTIFY]}},
            "SCMP_ACT_NOTIFY needs a listenerPath",
        ),
        ({"hooks": {"prestart": [{"path": "x"}]}}, {}, "must be absolute"),
    ],
)
def test_what_can_never_be_is_refused(changes: dict[str, Any], linux: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        plan_init(config(changes, **linux), Extras(), surroundings())
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("process", "linux", "message"),
    [
        ({"apparmorProfile": "strict"}, {}, "no AppArmor"),
        ({"selinuxLabel": "a:b:c"}, {}, "no SELinux"),
        ({}, {"mountLabel": "a:b:c"}, "no SELinux"),
        ({}, {"netDevices": {"eth1": {}}}, "netDevices"),
        ({}, {"intelRdt": {"closID": "x"}}, "resctrl"),
    ],
)
def test_what_this_host_has_not_is_said(process: dict[str, Any], linux: dict[str, Any], message: str) -> None:
    changes = {"process": {"cwd": "/", "args": ["a"], **process}}
    with pytest.raises(Unsupported) as caught:
        plan_init(config(changes, **linux), Extras(), surroundings())
    assert message in caught.value.message


def test_unconfined_needs_no_apparmor() -> None:
    changes = {"process": {"cwd": "/", "args": ["a"], "apparmorProfile": "unconfined"}}
    assert "apparmor" not in str(plan_init(config(changes), Extras(), surroundings()))
    assert capabilities.last_cap() > 30
