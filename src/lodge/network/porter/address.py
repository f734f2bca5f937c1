"""Where a porter is found: by the engine that starts it, and by the next one."""

from __future__ import annotations

import os

LINK_FD = 3
"""The number under which a new porter finds the link to the engine that started it."""

LISTEN_FD = 4
"""The same for the socket at `socket_path`, which listens before the porter does: no engine misses it."""

TITLE = "lodge-porter"
"""The first word of its command line as ps(1) shows it; the second is its directory."""


def socket_path(directory: str) -> str:
    """Where a porter listens for the next engine."""
    return os.path.join(directory, "porter.sock")
