"""The fork server loads this room whole: what it may bring along is counted."""

import subprocess
import sys

ROOM = (
    "apparmor capabilities cgroups inotify mount namespaces netlink overlay paths process procfs seccomp"
    " seccomp.cache selinux sockets syscalls system tty"
)

# Each of these costs milliseconds or megabytes in every monitor, or looks things up in files later.
UNWANTED = (
    "hashlib",
    "_hashlib",
    "subprocess",
    "asyncio",
    "shutil",
    "tempfile",
    "pathlib",
    "logging",
    "ssl",
    "json",
)


def test_the_room_brings_nothing_heavy_along() -> None:
    code = f"import sys, {', '.join(f'lodge.kernel.{name}' for name in ROOM.split())}\nprint(*sys.modules)"
    bare = "import sys, msgspec\nprint(*sys.modules)"
    loaded, before = (
        set(
            subprocess.run(
                [sys.executable, "-c", text], capture_output=True, text=True, check=True
            ).stdout.split()
        )
        for text in (code, bare)
    )
    assert not (loaded - before) & set(UNWANTED)
    assert "lodge.kernel.cgroups.v2" in loaded
