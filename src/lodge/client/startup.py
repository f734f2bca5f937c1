"""Starting `lodged` when nobody answers at the default socket: no set-up comes before the first command.

The daemon becomes a session of its own and goes on running; its output goes to a file beside the socket.
Two commands may do this at once: the daemon's own lock lets one of the two live, and both then find a socket.
"""

from __future__ import annotations

import os
import sys
import time

from lodge.client.failures import Unreachable
from lodge.client.transport import open_stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.client.address import Address

_PATIENCE = 15.0
"""Seconds until a daemon that has not answered counts as not started."""


def may_start(address: Address) -> bool:
    """Whether this process may start a daemon there: the default address, root, and not forbidden."""
    wish = os.environ.get("LODGE_AUTOSTART", "1").lower()
    return address.default and os.geteuid() == 0 and wish not in ("0", "false", "no", "off", "")


def why_not() -> str | None:
    """What to do where `may_start` says no: None when the user has forbidden it."""
    if os.geteuid() == 0:
        return None
    return "only root can start it: run lodged as root, or set LODGE_HOST to a daemon that runs"


def start_daemon(address: Address) -> None:
    """Start `lodged` and wait until it accepts connections; `Unreachable`, with its last words, if not."""
    folder = os.path.dirname(address.path)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    log = os.path.join(folder, "lodged.log")
    child = _spawn(log)
    deadline = time.monotonic() + _PATIENCE
    pause = 0.005
    ended = False
    while time.monotonic() < deadline:
        try:
            open_stream(address).close()
        except Unreachable:
            if ended:
                break
            ended = os.waitpid(child, os.WNOHANG)[0] != 0
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)
        else:
            return
    raise Unreachable("lodged could not be started", hint=_last_words(log))


def _spawn(log: str) -> int:
    script = os.path.join(os.path.dirname(sys.executable), "lodged")
    command = [script] if os.access(script, os.X_OK) else []
    command = command or [
        sys.executable,
        "-c",
        "from lodge.daemon.main import main; raise SystemExit(main())",
    ]
    # SAFETY: a new session and no descriptor but its log: nothing of this terminal stays with it.
    return os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def _last_words(log: str) -> str:
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.path.getsize(log) - 2000))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    return "\n".join([f"see {log}", *lines[-8:]])
