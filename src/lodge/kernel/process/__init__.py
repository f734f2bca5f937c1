"""What a process can say about itself and others: attributes, pidfds, files, scheduling, signals."""

from __future__ import annotations

from lodge.kernel.process.attributes import *  # noqa: F403 - a flat room of wrappers with the kernel's names
from lodge.kernel.process.files import *  # noqa: F403
from lodge.kernel.process.pidfd import *  # noqa: F403
from lodge.kernel.process.scheduling import *  # noqa: F403
from lodge.kernel.process.signals import *  # noqa: F403
from lodge.kernel.process.title import *  # noqa: F403
