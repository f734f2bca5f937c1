"""spec and features: documents that people and engines read before they make a container."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from lodge.errors import AlreadyExists
from lodge.kernel import capabilities, namespaces
from lodge.kernel.mount.options import WORDS
from lodge.kernel.seccomp import words
from lodge.runtime.command.container import Context
from lodge.runtime.command.flags import flag, parse
from lodge.spec.runtime import (
    OCI_VERSION,
    CapabilitySets,
    DeviceRule,
    IdMapping,
    Linux,
    Mount,
    Namespace,
    Process,
    Resources,
    Rlimit,
    Root,
    RuntimeConfig,
    encode,
)

_SPEC = (
    flag("bundle b", "directory to write to, the current one when empty"),
    flag("rootless", "a config for a user without rights", switch=True),
)
_CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
_MASKED = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/proc/scsi",
]
_READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
_QUIET = ["nosuid", "noexec", "nodev"]


def spec(_context: Context, line: Sequence[str]) -> int:
    """Write a config.json to start from; AlreadyExists when there is one."""
    flags = parse(line, _SPEC)
    path = os.path.join(flags.text("bundle"), "config.json")
    config = _template()
    if flags.on("rootless"):
        config = _rootless(config)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        raise AlreadyExists(f"File {path} exists. Remove it first") from None
    with open(fd, "wb") as file:
        file.write(msgspec.json.format(encode(config), indent=4) + b"\n")
    return 0


def features(_context: Context, line: Sequence[str]) -> int:
    """Print what this runtime can do (features.md, features-linux.md)."""
    parse(line, ())
    document = {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": OCI_VERSION,
        "hooks": [
            "prestart",
            "createRuntime",
            "createContainer",
            "startContainer",
            "poststart",
            "poststop",
        ],
        "mountOptions": sorted(WORDS),
        "linux": {
            "namespaces": sorted(namespaces.NAMESPACES),
            "capabilities": capabilities.known(),
            "cgroup": {"v1": True, "v2": True, "systemd": False, "systemdUser": False, "rdma": True},
            "seccomp": {
                "enabled": True,
                "actions": sorted(words.ACTIONS),
                "operators": sorted(words.OPERATORS),
                "archs": sorted(words.ARCHITECTURES),
                "knownFlags": sorted(words.FLAGS),
                "supportedFlags": sorted(words.FLAGS),
            },
            "apparmor": {"enabled": True},
            "selinux": {"enabled": False},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
            "netDevices": {"enabled": False},
        },
        "annotations": {"org.opencontainers.runtime-spec.version": OCI_VERSION},
    }
    print(msgspec.json.format(msgspec.json.encode(document), indent=4).decode())
    return 0


def _template() -> RuntimeConfig:
    sets = CapabilitySets(
        bounding=_CAPABILITIES, effective=_CAPABILITIES, permitted=_CAPABILITIES, ambient=[]
    )
    return RuntimeConfig(
        oci_version=OCI_VERSION,
        process=Process(
            terminal=True,
            args=["sh"],
            env=["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            cwd="/",
            capabilities=sets,
            rlimits=[Rlimit(type="RLIMIT_NOFILE", hard=1024, soft=1024)],
            no_new_privileges=True,
        ),
        root=Root(path="rootfs", readonly=True),
        hostname="lodge",
        mounts=[
            Mount(destination="/proc", type="proc", source="proc"),
            Mount(
                destination="/dev",
                type="tmpfs",
                source="tmpfs",
                options=["nosuid", "strictatime", "mode=755", "size=65536k"],
            ),
            Mount(
                destination="/dev/pts",
                type="devpts",
                source="devpts",
                options=["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
            ),
            Mount(
                destination="/dev/shm",
                type="tmpfs",
                source="shm",
                options=[*_QUIET, "mode=1777", "size=65536k"],
            ),
            Mount(destination="/dev/mqueue", type="mqueue", source="mqueue", options=[*_QUIET]),
            Mount(destination="/sys", type="sysfs", source="sysfs", options=[*_QUIET, "ro"]),
            Mount(
                destination="/sys/fs/cgroup",
                type="cgroup",
                source="cgroup",
                options=[*_QUIET, "relatime", "ro"],
            ),
        ],
        linux=Linux(
            resources=Resources(devices=[DeviceRule(allow=False, access="rwm")]),
            namespaces=[Namespace(type=kind) for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            masked_paths=_MASKED,
            readonly_paths=_READONLY,
        ),
    )


def _rootless(config: RuntimeConfig) -> RuntimeConfig:
    """No network namespace (nobody could set it up), an own user namespace with the caller as root."""
    assert config.linux is not None
    kept = [space for space in config.linux.namespaces if space.type != "network"]
    linux = msgspec.structs.replace(
        config.linux,
        namespaces=[*kept, Namespace(type="user")],
        uid_mappings=[IdMapping(container_id=0, host_id=os.geteuid(), size=1)],
        gid_mappings=[IdMapping(container_id=0, host_id=os.getegid(), size=1)],
        resources=None,
    )
    mounts = [
        Mount(destination="/sys", type="none", source="/sys", options=["rbind", *_QUIET, "ro"])
        if mount.destination == "/sys"
        else msgspec.structs.replace(
            mount, options=[word for word in mount.options if not word.startswith("gid=")]
        )
        for mount in config.mounts
    ]
    return msgspec.structs.replace(config, linux=linux, mounts=mounts)
