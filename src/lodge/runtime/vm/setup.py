"""What a machine and its programs are told: an OCI runtime config as the fields of SETUP and SPAWN. Pure."""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterable, Mapping, Sequence

from lodge.errors import InvalidArgument, Unsupported
from lodge.kernel import capabilities
from lodge.kernel.mount import MS_BIND, parse_options
from lodge.runtime.contract import StdioRequest
from lodge.runtime.vm.protocol import Field, field
from lodge.spec.runtime import Device, Linux, Mount, Process, Resources, RuntimeConfig

SHARES = "/run/files/shares"
UPPER = "/run/files/upper"
_LIMIT_NAMES = (
    "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS",
    "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
)  # fmt: skip
_LIMITS = {name: number for number, name in enumerate(_LIMIT_NAMES)}
_NODE_TYPES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
# The six that every container has, config-linux.md.
_USUAL_NODES = (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9))


def machine_fields(
    config: RuntimeConfig,
    *,
    now_ns: int,
    entropy: bytes,
    upper: bool,
    shares: Mapping[str, int],
    netlink: Sequence[bytes] = (),
) -> bytes:
    """The payload of SETUP. `shares` are the numbers under which bind sources are served to the machine."""
    linux = config.linux or Linux()
    parts = [
        field(Field.TIME, struct.pack("<Q", now_ns)),
        field(Field.ENTROPY, entropy),
        field(Field.HOSTNAME, config.hostname),
    ]
    if config.domainname:
        parts.append(field(Field.DOMAINNAME, config.domainname))
    parts += [field(Field.NETLINK, message) for message in netlink]
    if netlink:
        parts.append(field(Field.NAMES))
    if upper:
        parts.append(field(Field.UPPER, UPPER))
    parts += [field(Field.GROUP_FILE, text) for text in group_files(linux.resources)]
    parts += [field(Field.MOUNT, mount_field(mount, shares)) for mount in config.mounts]
    parts += [field(Field.NODE, node) for node in _nodes(linux.devices)]
    parts += [field(Field.SYSCTL, f"{name}={value}") for name, value in linux.sysctl.items()]
    parts += [field(Field.READ_ONLY_PATH, path) for path in linux.readonly_paths]
    parts += [field(Field.MASK, path) for path in linux.masked_paths]
    if config.root is not None and config.root.readonly:
        parts.append(field(Field.READ_ONLY))
    return b"".join(parts)


def is_bind(mount: Mount) -> bool:
    """Whether a mount shows files of the host."""
    return mount.type == "bind" or bool(parse_options(mount.options).flags & MS_BIND)


def mount_field(mount: Mount, shares: Mapping[str, int]) -> bytes:
    """One mount: flags, attributes to set, to clear, then source, target, type, data, each ended by 0."""
    options = parse_options(mount.options)
    kind, source, data = mount.type, mount.source, options.data
    flags = options.flags
    if is_bind(mount):
        flags |= MS_BIND
        if mount.source not in shares:
            raise Unsupported(f"{mount.source} is not served to the machine")
        source, kind, data = f"{SHARES}/{shares[mount.source]}", "", ""
    elif kind == "cgroup":
        # The machine's own, of version 2 whatever the host has.
        kind, source, data = "cgroup2", "cgroup", ""
    numbers = struct.pack("<QQQ", flags, options.attr_set, options.attr_clr)
    texts = (source, mount.destination, kind, data)
    if any("\0" in text for text in texts):
        raise InvalidArgument(f"a mount with a zero in it: {mount.destination!r}")
    return numbers + b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in texts)


def _nodes(devices: Iterable[Device]) -> Iterable[bytes]:
    for name, minor in _USUAL_NODES:
        yield struct.pack("<IIIII", stat.S_IFCHR | 0o666, 1, minor, 0, 0) + f"/dev/{name}".encode()
    yield struct.pack("<IIIII", stat.S_IFCHR | 0o666, 5, 0, 0, 0) + b"/dev/tty"
    for device in devices:
        mode = _NODE_TYPES[device.type] | (0o666 if device.file_mode is None else device.file_mode & 0o7777)
        owner = (device.uid or 0, device.gid or 0)
        yield struct.pack("<IIIII", mode, device.major, device.minor, *owner) + device.path.encode()


def group_files(resources: Resources | None) -> list[str]:
    """Limits as files of the machine's own control group of version 2. CPU time is limited on the host."""
    if resources is None:
        return []
    found: list[str] = []
    memory, pids = resources.memory, resources.pids
    if memory is not None and memory.limit:
        found.append(f"memory.max={_or_max(memory.limit)}")
        if memory.swap is not None:
            found.append(f"memory.swap.max={_or_max(max(memory.swap - memory.limit, -1))}")
    if memory is not None and memory.reservation:
        found.append(f"memory.low={_or_max(memory.reservation)}")
    if pids is not None and pids.limit is not None:
        found.append(f"pids.max={pids.limit if pids.limit > 0 else 'max'}")
    if resources.cpu is not None and resources.cpu.shares:
        weight = 1 + (min(max(resources.cpu.shares, 2), 262144) - 2) * 9999 // 262142
        found.append(f"cpu.weight={weight}")
    return found


def _or_max(value: int) -> str:
    return "max" if value < 0 else str(value)


def program_fields(
    process: Process,
    stdio: StdioRequest,
    *,
    first: bool,
    user: str | None,
    groups: Sequence[str],
    reaper: bool,
    seccomp: bytes | None,
) -> bytes:
    """The payload of SPAWN. `user` and `groups` are Docker's texts, looked up in the machine."""
    if not process.args:
        raise InvalidArgument("no command specified")
    account = process.user
    parts = [field(Field.ARG, word) for word in process.args]
    parts += [field(Field.ENV, entry) for entry in process.env]
    parts += [
        field(Field.CWD, process.cwd),
        field(Field.UID, account.uid),
        field(Field.GID, account.gid),
        field(Field.UMASK, 0o022 if account.umask is None else account.umask),
        field(Field.CAPABILITIES, _capabilities(process)),
    ]
    if account.additional_gids:
        parts.append(
            field(Field.GROUPS, struct.pack(f"<{len(account.additional_gids)}I", *account.additional_gids))
        )
    if user is not None:
        parts.append(field(Field.USER, user))
        parts += [field(Field.GROUP, group) for group in groups]
    if process.no_new_privileges:
        parts.append(field(Field.NO_NEW_PRIVILEGES))
    for limit in process.rlimits:
        parts.append(field(Field.RLIMIT, _rlimit(limit.type, limit.soft, limit.hard)))
    if process.oom_score_adj:
        parts.append(field(Field.OOM_SCORE, process.oom_score_adj))
    if stdio.terminal:
        rows, columns = stdio.window or (0, 0)
        parts.append(field(Field.TERMINAL, rows | columns << 16))
    if stdio.stdin:
        parts.append(field(Field.STDIN))
    if stdio.inherit is not None:
        parts.append(field(Field.NULL_STREAMS))
    if seccomp:
        parts.append(field(Field.SECCOMP, bytes(4) + seccomp))
    if first:
        parts.append(field(Field.INIT))
    if reaper:
        parts.append(field(Field.REAPER))
    return b"".join(parts)


def _capabilities(process: Process) -> bytes:
    sets = process.capabilities
    if sets is None:
        return bytes(40)
    lists = (sets.effective, sets.permitted, sets.inheritable, sets.bounding, sets.ambient)
    masks = [capabilities.mask(name for name in names if name in capabilities.NUMBERS) for names in lists]
    return struct.pack("<5Q", *masks)


def _rlimit(kind: str, soft: int, hard: int) -> bytes:
    number = _LIMITS.get(kind.removeprefix("RLIMIT_"))
    if number is None:
        raise InvalidArgument(f"invalid rlimit type: {kind}")
    return struct.pack("<IQQ", number, soft, hard)
