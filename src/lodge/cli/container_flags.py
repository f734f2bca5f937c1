"""The table of what a container can be given: the flags of `create`, and so of `run`.

Their translation is in `lodge.cli.settings.container`. A flag that Docker has and Lodge cannot honour stands
here too, with the reason, so that it is refused by name.
"""

from __future__ import annotations

from lodge.cli.flags import (
    BOOL,
    BYTES,
    DECIMAL,
    DURATION,
    INT,
    LIMIT,
    LIST,
    MAP,
    STRING,
    UINT16,
    UINT64,
    Flag,
)
from lodge.cli.settings import kinds

_WINDOWS = "only Windows has this"

IDENTITY = (
    Flag("name", STRING, "The container's name"),
    Flag("hostname", STRING, "The host name that it sees", short="h"),
    Flag("domainname", STRING, "The NIS domain name that it sees"),
    Flag("label", kinds.LABEL, "A label, as name=value", short="l"),
    Flag("label-file", LIST, "A file of labels, one a line"),
    Flag("annotation", MAP, "An annotation for the OCI runtime, as name=value"),
    Flag("cidfile", STRING, "Write the container's ID to this new file"),
    Flag("platform", STRING, "Take the image of this platform, as os/architecture"),
    Flag("pull", STRING, 'When to get the image ("always", "missing", "never")', default="missing"),
    Flag("quiet", BOOL, "Do not show how the image is got", short="q"),
    Flag("disable-content-trust", BOOL, "Do not verify signatures", default=True, hidden=True),
)

PROGRAM = (
    Flag("attach", kinds.ATTACH, "Attach to stdin, stdout or stderr", short="a"),
    Flag("interactive", BOOL, "Keep stdin open, attached or not", short="i"),
    Flag("tty", BOOL, "Give the program a terminal", short="t"),
    Flag("entrypoint", STRING, "Run this instead of the image's entrypoint"),
    Flag("env", kinds.ENV, "A variable, as NAME=value, or NAME to pass one on", short="e"),
    Flag("env-file", LIST, "A file of variables, one a line"),
    Flag("user", STRING, "Who runs it: name or uid, and :group or :gid", short="u"),
    Flag("group-add", LIST, "A further group of the program"),
    Flag("workdir", STRING, "The directory that it starts in", short="w"),
    Flag("init", BOOL, "Put an init in front that passes signals on and reaps processes"),
    Flag("stop-signal", STRING, "The signal that asks it to stop"),
    Flag("stop-timeout", INT, "Seconds between that signal and SIGKILL"),
    Flag(
        "restart",
        STRING,
        "What to do when it ends (no, always, unless-stopped, on-failure[:n])",
        default="no",
    ),
    Flag("rm", BOOL, "Remove the container and its anonymous volumes when it ends"),
    Flag("health-cmd", STRING, "The command that tells whether it is healthy"),
    Flag("health-interval", DURATION, "Time between two such checks"),
    Flag("health-timeout", DURATION, "Time after which a check has failed"),
    Flag("health-retries", INT, "Failed checks in a row that make it unhealthy"),
    Flag("health-start-period", DURATION, "Time at the start in which failures do not count"),
    Flag("health-start-interval", DURATION, "Time between checks in the start period"),
    Flag("health-on-failure", STRING, "What to do when it is unhealthy (none, restart, stop, kill)"),
    Flag("no-healthcheck", BOOL, "Do not check, whatever the image says"),
    Flag("log-driver", STRING, "Where its output is kept"),
    Flag("log-opt", LIST, "An option of the log driver"),
)

FILES = (
    Flag("volume", LIST, "Mount a directory or volume, as source:target[:options]", short="v"),
    Flag("mount", kinds.MOUNT, "Mount by fields: type=bind|volume|tmpfs|image,source=,target=,..."),
    Flag(
        "secret",
        kinds.SECRET,
        "Show a secret as a file, as NAME or source=,target=,uid=,gid=,mode=",
    ),
    Flag("tmpfs", LIST, "Mount a tmpfs, as path[:options]"),
    Flag("volume-driver", STRING, "The driver of the volumes that -v makes"),
    Flag("volumes-from", LIST, "Mount what another container mounts"),
    Flag("read-only", BOOL, "Make the root file system read-only"),
    Flag("shm-size", BYTES, "Size of /dev/shm"),
    Flag("storage-opt", LIST, "An option of the storage driver"),
    Flag("device", LIST, "A device of the host, as path[:target][:rwm]"),
    Flag("device-cgroup-rule", kinds.DEVICE_RULE, 'Allow devices by number, as "c 1:3 rwm"'),
    Flag("gpus", kinds.GPUS, 'Graphics processors ("all", a number, or fields)'),
)

CONFINEMENT = (
    Flag("privileged", BOOL, "Lift nearly all confinement"),
    Flag("cap-add", LIST, "Give a capability"),
    Flag("cap-drop", LIST, "Take a capability away"),
    Flag("security-opt", LIST, "seccomp=, apparmor=, no-new-privileges, label=, systempaths="),
    Flag("pid", STRING, 'Its PID namespace ("host", "container:NAME")'),
    Flag("ipc", STRING, 'Its IPC namespace ("none", "private", "shareable", "host", "container:NAME")'),
    Flag("uts", STRING, 'Its UTS namespace ("host")'),
    Flag("userns", STRING, 'Its user namespace ("host", "remap")'),
    Flag("cgroupns", STRING, 'Its cgroup namespace ("host", "private")'),
    Flag("sysctl", kinds.SYSCTL, "A kernel setting of its namespaces, as name=value"),
    Flag("ulimit", kinds.ULIMIT, "A limit of its processes, as name=soft[:hard]"),
    Flag("cgroup-parent", STRING, "The control group above it"),
    Flag("runtime", STRING, "The OCI runtime to use"),
    Flag("isolation", STRING, "Isolation technology"),
    Flag("use-api-socket", BOOL, "Hand in the engine's socket", refuses="mount the socket with -v instead"),
)

CPU_LIMITS = (
    Flag("cpus", DECIMAL, "How many CPUs, as 1.5"),
    Flag("cpu-shares", INT, "Relative weight of CPU time", short="c"),
    Flag("cpu-period", INT, "Period of the CPU quota in microseconds"),
    Flag("cpu-quota", INT, "CPU time in a period in microseconds"),
    Flag("cpu-rt-period", INT, "Period of real-time CPU quota in microseconds"),
    Flag("cpu-rt-runtime", INT, "Real-time CPU time in a period in microseconds"),
    Flag("cpuset-cpus", STRING, "The CPUs it may use, as 0-3,5"),
    Flag("cpuset-mems", STRING, "The memory nodes it may use"),
)

MEMORY_LIMITS = (
    Flag("memory", BYTES, "The most memory it gets", short="m"),
    Flag("memory-reservation", BYTES, "Memory it keeps when the host runs short"),
    Flag("memory-swap", LIMIT, "The most memory and swap together, -1 for any"),
)

BLOCK_LIMITS = (Flag("blkio-weight", UINT16, "Relative weight of block I/O, 10 to 1000"),)
PIDS_LIMIT = (Flag("pids-limit", INT, "The most processes and threads, -1 for any"),)

FURTHER_LIMITS = (
    Flag("memory-swappiness", INT, "How readily its memory is swapped, 0 to 100", default=-1),
    Flag("oom-kill-disable", BOOL, "Do not kill it when its memory is used up"),
    Flag("oom-score-adj", INT, "How ready the host is to kill it, -1000 to 1000"),
    Flag("blkio-weight-device", kinds.DEVICE_WEIGHT, "Weight on one device, as path:weight"),
    Flag("device-read-bps", kinds.BYTE_RATE, "Bytes a second read from a device, as path:rate"),
    Flag("device-write-bps", kinds.BYTE_RATE, "Bytes a second written to a device, as path:rate"),
    Flag("device-read-iops", kinds.OPERATION_RATE, "Reads a second of a device, as path:rate"),
    Flag("device-write-iops", kinds.OPERATION_RATE, "Writes a second to a device, as path:rate"),
    Flag("kernel-memory", BYTES, "", hidden=True, refuses="Linux has no kernel memory limit any more"),
    Flag("cpu-count", INT, "", hidden=True, refuses=_WINDOWS),
    Flag("cpu-percent", INT, "", hidden=True, refuses=_WINDOWS),
    Flag("io-maxbandwidth", BYTES, "", hidden=True, refuses=_WINDOWS),
    Flag("io-maxiops", UINT64, "", hidden=True, refuses=_WINDOWS),
)

NETWORK = (
    Flag("network", kinds.NETWORK, "Connect to a network: a name, none, host, container:NAME, or fields"),
    Flag("net", kinds.NETWORK, "", hidden=True, alias_of="network"),
    Flag("network-alias", LIST, "A further name on its network"),
    Flag("net-alias", LIST, "", hidden=True, alias_of="network-alias"),
    Flag("publish", LIST, "Publish a port, as [[address:]port:]port[/protocol]", short="p"),
    Flag("publish-all", BOOL, "Publish every exposed port on any free one", short="P"),
    Flag("expose", LIST, "Expose a port or range"),
    Flag("ip", STRING, "Its IPv4 address"),
    Flag("ip6", STRING, "Its IPv6 address"),
    Flag("link-local-ip", LIST, "A link-local address of it"),
    Flag("mac-address", STRING, "Its MAC address"),
    Flag("link", kinds.LINK, "Link to a container, as name[:alias]"),
    Flag("network-rate", STRING, "Limit its network, as egress=10mbit,ingress=5mbit"),
    Flag("add-host", kinds.EXTRA_HOST, "A line of its hosts file, as name:address"),
    Flag("dns", kinds.DNS, "A DNS server"),
    Flag("dns-option", LIST, "An option of the resolver"),
    Flag("dns-opt", LIST, "", hidden=True, alias_of="dns-option"),
    Flag("dns-search", kinds.DNS_SEARCH, "A domain to search"),
)

CREATE_FLAGS = (
    *IDENTITY,
    *PROGRAM,
    *FILES,
    *CONFINEMENT,
    *CPU_LIMITS,
    *MEMORY_LIMITS,
    *BLOCK_LIMITS,
    *PIDS_LIMIT,
    *FURTHER_LIMITS,
    *NETWORK,
)
