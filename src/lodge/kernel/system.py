"""Facts about this machine, as `docker info` tells them: memory, CPUs, names, versions, security modules."""

from __future__ import annotations

import os
import re

_ESCAPED = re.compile(r"""\\(["$`\\])""")
_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")


def memory_total() -> int:
    """Bytes of memory that the kernel can use."""
    return _meminfo().get("MemTotal", 0)


def memory_available() -> int:
    """Bytes that programs could get now without swapping."""
    return _meminfo().get("MemAvailable", 0)


def cpu_count() -> int:
    """CPUs that this process may run on."""
    return len(os.sched_getaffinity(0))


def kernel_version() -> str:
    """The release, "6.1.0-18-amd64"."""
    return os.uname().release


def architecture() -> str:
    """The machine, "x86_64" or "aarch64"."""
    return os.uname().machine


def hostname() -> str:
    """The name of this UTS namespace."""
    return os.uname().nodename


def boot_id() -> str:
    """A text that differs after each boot: what was recorded under another one has no processes any more."""
    return _read("/proc/sys/kernel/random/boot_id").strip()


def os_release() -> dict[str, str]:
    """os-release(5) as a dictionary; empty when the system has none."""
    for path in _OS_RELEASE:
        if text := _read(path):
            return parse_os_release(text)
    return {}


def os_name() -> str:
    """The system's name for people, "Debian GNU/Linux 12 (bookworm)"."""
    return os_release().get("PRETTY_NAME") or "Linux"


def security_modules() -> list[str]:
    """The active security modules ("lockdown", "capability", "apparmor", ...), none without securityfs."""
    text = _read("/sys/kernel/security/lsm").strip()
    return text.split(",") if text else []


def has_seccomp() -> bool:
    """Whether the kernel filters system calls."""
    return bool(_read("/proc/sys/kernel/seccomp/actions_avail").strip())


def cpu_total_time() -> int:
    """Nanoseconds that all CPUs spent since boot, idle or not, without steal, as `docker stats` has it."""
    fields = _read("/proc/stat").partition("\n")[0].split()[1:8]
    return sum(int(field) for field in fields) * (1_000_000_000 // os.sysconf("SC_CLK_TCK"))


def parse_os_release(text: str) -> dict[str, str]:
    """Lines of NAME=value in shell quoting: os-release(5)."""
    values = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith("#"):
            continue
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            quote, value = value[0], value[1:-1]
            if quote == '"':
                value = _ESCAPED.sub(r"\1", value)
        values[name] = value
    return values


def parse_meminfo(text: str) -> dict[str, int]:
    """Lines of "Name:  number kB" in bytes."""
    values = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            values[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return values


def bridge_filter(which: str) -> bool:
    """Whether packets between ports of one bridge pass `iptables` or `ip6tables` (br_netfilter)."""
    return _read(f"/proc/sys/net/bridge/bridge-nf-call-{which}").strip() == "1"


def _meminfo() -> dict[str, int]:
    return parse_meminfo(_read("/proc/meminfo"))


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""
