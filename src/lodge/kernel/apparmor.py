"""AppArmor: whether it is on, which profiles are loaded, and the profile of the next exec."""

from __future__ import annotations

import os

from lodge.kernel.procfs import write_label

_SECURITY = "/sys/kernel/security/apparmor"


def enabled() -> bool:
    """Whether the kernel enforces AppArmor profiles and this system has its interface mounted."""
    try:
        with open("/sys/module/apparmor/parameters/enabled", "rb") as file:
            return file.read(1) == b"Y" and os.access(_SECURITY, os.F_OK)
    except OSError:
        return False


def profile_exists(name: str) -> bool:
    """Whether a profile of this name is loaded; "unconfined" always is."""
    if name == "unconfined":
        return True
    try:
        with open(f"{_SECURITY}/profiles", "rb") as file:
            return name in parse_profiles(file.read().decode(errors="replace"))
    except OSError:
        return False


def parse_profiles(text: str) -> set[str]:
    """The names in lines of "name (mode)"; a name may have spaces."""
    return {line.rpartition(" (")[0] for line in text.splitlines() if line.endswith(")")}


def set_exec_profile(procfd: int, name: str) -> None:
    """Have the next execve of this thread enter a profile; ENOENT when it is not loaded."""
    try:
        write_label(procfd, "exec", f"exec {name}", "apparmor")
    except FileNotFoundError:
        # Before Linux 5.8 there was one directory for all modules.
        write_label(procfd, "exec", f"exec {name}")
