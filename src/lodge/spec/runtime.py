"""The OCI runtime config (`config.json`) as values.

Source: runtime-spec 1.2, config.md and config-linux.md. Attribute names are the specification's in snake
case; JSON names are the specification's own. Unknown fields are ignored, as the specification demands.
Decoding checks types, not meaning: what a field may hold is checked by who performs it (`runtime.process`).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

OCI_VERSION = "1.2.1"


class Text(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The base of all values here: camelCase JSON, defaults left out."""


class User(Text):
    """Who the program runs as; names are resolved before this is written."""

    uid: int = 0
    gid: int = 0
    umask: int | None = None
    additional_gids: list[int] = []
    username: str = ""


class ConsoleSize(Text, omit_defaults=False):
    """Characters of a terminal."""

    height: int
    width: int


class CapabilitySets(Text):
    """The five sets, each as names with the prefix CAP_."""

    effective: list[str] = []
    bounding: list[str] = []
    inheritable: list[str] = []
    permitted: list[str] = []
    ambient: list[str] = []


class Rlimit(Text, omit_defaults=False):
    """One resource limit; `type` is spelled RLIMIT_NOFILE and so on."""

    type: str
    hard: int
    soft: int


class IoPriority(Text):
    """ioprio_set(2): class IOPRIO_CLASS_RT, _BE or _IDLE."""

    class_: str = field(name="class")
    priority: int = 0


class Scheduler(Text):
    """sched_setattr(2): policy SCHED_OTHER and so on; times in nanoseconds."""

    policy: str
    nice: int = 0
    priority: int = 0
    flags: list[str] = []
    runtime: int = 0
    deadline: int = 0
    period: int = 0


class ExecCpuAffinity(Text, rename=None):
    """CPU lists for an exec, before and after it joined the cgroup."""

    initial: str = ""
    final: str = ""


class Process(Text):
    """The program: what is executed, as whom, with which rights."""

    cwd: str
    args: list[str] = []
    command_line: str = ""
    env: list[str] = []
    terminal: bool = False
    console_size: ConsoleSize | None = None
    user: User = field(default_factory=User)
    capabilities: CapabilitySets | None = None
    rlimits: list[Rlimit] = []
    no_new_privileges: bool = False
    apparmor_profile: str = ""
    oom_score_adj: int | None = None
    selinux_label: str = ""
    io_priority: IoPriority | None = None
    scheduler: Scheduler | None = None
    exec_cpu_affinity: ExecCpuAffinity | None = field(default=None, name="execCPUAffinity")


class Root(Text):
    """The root file system: a directory, absolute or relative to the bundle."""

    path: str
    readonly: bool = False


class IdMapping(Text, omit_defaults=False):
    """One line of a uid_map or gid_map."""

    container_id: int = field(name="containerID")
    host_id: int = field(name="hostID")
    size: int


class Mount(Text):
    """One mount, performed in the order listed; options as in mount(8) and the specification's table."""

    destination: str
    type: str = ""
    source: str = ""
    options: list[str] = []
    uid_mappings: list[IdMapping] = []
    gid_mappings: list[IdMapping] = []


class Hook(Text):
    """A program that is run at a stage of life, with the state on its standard input; timeout in seconds."""

    path: str
    args: list[str] = []
    env: list[str] = []
    timeout: int | None = None


class Hooks(Text):
    """Hooks by stage, in the order in which the stages come."""

    prestart: list[Hook] = []
    create_runtime: list[Hook] = []
    create_container: list[Hook] = []
    start_container: list[Hook] = []
    poststart: list[Hook] = []
    poststop: list[Hook] = []


class Namespace(Text):
    """A namespace to make, or to join when a path is given.

    `type`: mount, pid, ipc, uts, network, user, cgroup or time.
    """

    type: str
    path: str = ""


class Device(Text):
    """A device node to make; `type` is c, b, u or p, `file_mode` the permission bits."""

    path: str
    type: str
    major: int = 0
    minor: int = 0
    file_mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class NetDevice(Text):
    """A network device of the host to move into the container, perhaps renamed."""

    name: str = ""


class DeviceRule(Text, omit_defaults=False):
    """One rule of the device cgroup, later rules win; `access` is made of r, w and m."""

    allow: bool
    type: str = "a"
    major: int | None = None
    minor: int | None = None
    access: str = ""


class Memory(Text):
    """Limits in bytes, -1 for none; `swap` is memory plus swap."""

    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    kernel: int | None = None
    kernel_tcp: int | None = field(default=None, name="kernelTCP")
    swappiness: int | None = None
    disable_oom_killer: bool | None = field(default=None, name="disableOOMKiller")
    use_hierarchy: bool | None = None
    check_before_update: bool | None = None


class Cpu(Text):
    """CPU time: shares relative to 1024, quota and period in microseconds, cpus and mems as lists (0-3,7)."""

    shares: int | None = None
    quota: int | None = None
    burst: int | None = None
    period: int | None = None
    realtime_runtime: int | None = None
    realtime_period: int | None = None
    cpus: str = ""
    mems: str = ""
    idle: int | None = None


class Pids(Text):
    """The number of tasks; 0 or less for no limit."""

    limit: int | None = None


class WeightDevice(Text):
    """The weight of one block device, 10 to 1000."""

    major: int
    minor: int
    weight: int | None = None
    leaf_weight: int | None = None


class ThrottleDevice(Text, omit_defaults=False):
    """A rate for one block device, in bytes or operations a second."""

    major: int
    minor: int
    rate: int


class BlockIo(Text):
    """Limits and weights of block input and output."""

    weight: int | None = None
    leaf_weight: int | None = None
    weight_device: list[WeightDevice] = []
    throttle_read_bps_device: list[ThrottleDevice] = []
    throttle_write_bps_device: list[ThrottleDevice] = []
    throttle_read_iops_device: list[ThrottleDevice] = field(
        default_factory=list, name="throttleReadIOPSDevice"
    )
    throttle_write_iops_device: list[ThrottleDevice] = field(
        default_factory=list, name="throttleWriteIOPSDevice"
    )


class HugepageLimit(Text, omit_defaults=False):
    """Bytes of huge pages of one size ("2MB")."""

    page_size: str
    limit: int


class InterfacePriority(Text, omit_defaults=False):
    """net_prio of one interface."""

    name: str
    priority: int


class NetworkControl(Text):
    """The net_cls and net_prio controllers of cgroup v1."""

    class_id: int | None = field(default=None, name="classID")
    priorities: list[InterfacePriority] = []


class Rdma(Text):
    """Limits of one RDMA device."""

    hca_handles: int | None = None
    hca_objects: int | None = None


class Resources(Text):
    """What a control group grants."""

    devices: list[DeviceRule] = []
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids: Pids | None = None
    block_io: BlockIo | None = field(default=None, name="blockIO")
    hugepage_limits: list[HugepageLimit] = []
    network: NetworkControl | None = None
    rdma: dict[str, Rdma] = {}
    unified: dict[str, str] = {}


class SeccompArgument(Text, omit_defaults=False):
    """A comparison of one system call argument; `op` is SCMP_CMP_EQ and so on."""

    index: int
    value: int
    op: str
    value_two: int = 0


class SeccompRule(Text):
    """System calls by name, the action for them, and the comparisons that must all hold."""

    names: list[str]
    action: str
    errno_ret: int | None = None
    args: list[SeccompArgument] = []


class Seccomp(Text):
    """A system call filter; actions are spelled SCMP_ACT_ALLOW and so on."""

    default_action: str
    default_errno_ret: int | None = None
    architectures: list[str] = []
    flags: list[str] = []
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: list[SeccompRule] = []


class TimeOffset(Text):
    """The offset of one clock of a time namespace."""

    secs: int = 0
    nanosecs: int = 0


class Personality(Text):
    """personality(2): domain LINUX or LINUX32."""

    domain: str
    flags: list[str] = []


class IntelRdt(Text):
    """Cache and memory bandwidth by resctrl."""

    clos_id: str = field(default="", name="closID")
    schemata: list[str] = []
    l3_cache_schema: str = field(default="", name="l3CacheSchema")
    mem_bw_schema: str = field(default="", name="memBwSchema")
    enable_cmt: bool = field(default=False, name="enableCMT")
    enable_mbm: bool = field(default=False, name="enableMBM")
    enable_monitoring: bool = False


class MemoryPolicy(Text):
    """set_mempolicy(2)."""

    mode: str
    nodes: str = ""
    flags: list[str] = []


class Linux(Text):
    """The part of the config that only Linux has."""

    uid_mappings: list[IdMapping] = []
    gid_mappings: list[IdMapping] = []
    sysctl: dict[str, str] = {}
    resources: Resources | None = None
    cgroups_path: str = ""
    namespaces: list[Namespace] = []
    devices: list[Device] = []
    net_devices: dict[str, NetDevice] = {}
    seccomp: Seccomp | None = None
    rootfs_propagation: str = ""
    masked_paths: list[str] = []
    readonly_paths: list[str] = []
    mount_label: str = ""
    intel_rdt: IntelRdt | None = None
    personality: Personality | None = None
    time_offsets: dict[str, TimeOffset] = {}
    memory_policy: MemoryPolicy | None = None


class RuntimeConfig(Text):
    """A whole `config.json`."""

    oci_version: str
    root: Root | None = None
    mounts: list[Mount] = []
    process: Process | None = None
    hostname: str = ""
    domainname: str = ""
    hooks: Hooks | None = None
    annotations: dict[str, str] = {}
    linux: Linux | None = None
    solaris: Any | UnsetType = UNSET
    windows: Any | UnsetType = UNSET
    vm: Any | UnsetType = UNSET
    zos: Any | UnsetType = UNSET


class State(Text, omit_defaults=False):
    """The state of a container as hooks and `state` see it (runtime.md, State)."""

    oci_version: str
    id: str
    status: str
    pid: int
    bundle: str
    annotations: dict[str, str] = {}


_decoder = msgspec.json.Decoder(RuntimeConfig)
_process_decoder = msgspec.json.Decoder(Process)
_encoder = msgspec.json.Encoder()


def decode_config(text: bytes) -> RuntimeConfig:
    """Read a `config.json`; msgspec.ValidationError names the field that has a wrong type."""
    return _decoder.decode(text)


def decode_process(text: bytes) -> Process:
    """Read a process alone, as `exec --process FILE` takes it."""
    return _process_decoder.decode(text)


def encode(value: Text) -> bytes:
    """Write any of these values as JSON."""
    return _encoder.encode(value)
