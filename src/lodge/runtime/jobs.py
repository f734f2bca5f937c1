"""What an engine and its zygote agree on: the control socket, the jobs, the settings.

A job is one byte on the control socket, and with it the socket of the new process.
"""

from __future__ import annotations

from msgspec import Struct

from lodge.spec.runtime import RuntimeConfig

CONTROL_FD = 3

READY = b"r"
MONITOR = b"m"
FILES = b"f"


class Settings(Struct, kw_only=True):
    """What is the same for all monitors of an engine.

    Its directories; and `usual`, a config with nothing but what is the same in most containers, which inits
    may make before they have an order (None: they make nothing ahead).
    """

    exec_root: str
    state_root: str
    usual: RuntimeConfig | None = None

    @property
    def filter_cache(self) -> str:
        """Where compiled system call filters are kept."""
        return f"{self.state_root}/cache/seccomp"

    @property
    def machines(self) -> str:
        """Where the wing `vm` keeps kernel, disks and frozen machines."""
        return f"{self.state_root}/vm"
