"""Mounts: the calls (`calls`, `fscontext`), their words (`options`), the kernel's list of them (`table`)."""

from __future__ import annotations

from lodge.kernel.mount.calls import *  # noqa: F403 - the constants and calls of one kernel interface
from lodge.kernel.mount.fscontext import *  # noqa: F403
from lodge.kernel.mount.options import MountOptions as MountOptions
from lodge.kernel.mount.options import parse_options as parse_options
from lodge.kernel.mount.table import Mount as Mount
from lodge.kernel.mount.table import mountinfo as mountinfo
from lodge.kernel.mount.table import parse_mountinfo as parse_mountinfo
