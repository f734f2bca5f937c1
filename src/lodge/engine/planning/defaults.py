"""What a container gets when nothing is said: the facts of Docker's defaults, as data.

Source: the default runtime config that Docker Engine 29 hands to runc.
"""

from __future__ import annotations

from lodge.spec.runtime import DeviceRule, Mount

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)

READONLY_PATHS = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)

MOUNTS = (
    Mount(destination="/proc", type="proc", source="proc", options=["nosuid", "noexec", "nodev"]),
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
    Mount(destination="/sys", type="sysfs", source="sysfs", options=["nosuid", "noexec", "nodev", "ro"]),
    Mount(
        destination="/sys/fs/cgroup",
        type="cgroup",
        source="cgroup",
        options=["ro", "nosuid", "noexec", "nodev"],
    ),
    Mount(destination="/dev/mqueue", type="mqueue", source="mqueue", options=["nosuid", "noexec", "nodev"]),
    Mount(
        destination="/dev/shm",
        type="tmpfs",
        source="shm",
        options=["nosuid", "noexec", "nodev", "mode=1777"],
    ),
)


def _character(major: int, minor: int | None) -> DeviceRule:
    return DeviceRule(allow=True, type="c", major=major, minor=minor, access="rwm")


DEVICE_RULES = (
    DeviceRule(allow=False, access="rwm"),
    DeviceRule(allow=True, type="c", access="m"),
    DeviceRule(allow=True, type="b", access="m"),
    _character(1, 7),
    _character(5, 2),
    _character(136, None),
    _character(1, 5),
    _character(1, 3),
    _character(1, 9),
    _character(1, 8),
    _character(5, 0),
    _character(5, 1),
)
"""Any node may be made; used may be zero, null, full, urandom, random, tty, console and terminals."""

ALL_DEVICES = (DeviceRule(allow=True, access="rwm"),)

SYSCTLS_OF_PRIVATE_NETWORK = {
    "net.ipv4.ping_group_range": "0 2147483647",
    "net.ipv4.ip_unprivileged_port_start": "0",
}

STOP_SIGNAL = "SIGTERM"
STOP_TIMEOUT = 10
MINIMUM_MEMORY = 6 << 20
