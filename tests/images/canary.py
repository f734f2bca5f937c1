"""A folder of the host that attacks aim at, and what has become of it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

SECRET = "a secret of the host\n"


@dataclass(frozen=True)
class Canary:
    """A small tree with all kinds of things in it. `before` is how it was made."""

    path: Path
    before: dict[str, str]

    @classmethod
    def make(cls, path: Path) -> "Canary":
        """Make the tree, with the folders that engines mount on, so that no attack fails for lack of them."""
        for name in ("", "pts", "shm", "mqueue", "fd", "sys", "kernel", "net", "workdir"):
            (path / name).mkdir(parents=True)
        for name in (
            "secret",
            "hosts",
            "hostname",
            "resolv.conf",
            "null",
            "zero",
            "tty",
            "console",
            "passwd",
        ):
            (path / name).write_text(SECRET)
        (path / "program").write_text("#!/bin/sh\n")
        (path / "program").chmod(0o755)
        (path / "link").symlink_to("secret")
        return cls(path, look(path))

    def differences(self) -> list[str]:
        """What was added, removed or changed, as lines for people."""
        now = look(self.path)
        return sorted(
            f"{name}: {self.before.get(name, 'absent')} -> {now.get(name, 'absent')}"
            for name in self.before.keys() | now.keys()
            if self.before.get(name) != now.get(name)
        )


def look(top: Path) -> dict[str, str]:
    """Every path below `top` with its kind, mode, owner, device and content."""
    found = {}
    for folder, folders, files in os.walk(top):
        for name in (".", *folders, *files):
            path = Path(folder, name)
            status = path.lstat()
            content = ""
            if stat.S_ISREG(status.st_mode):
                content = path.read_text(errors="replace")[:200]
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            owner = f"{status.st_uid}:{status.st_gid}"
            kind = f"{stat.filemode(status.st_mode)} {owner} dev {status.st_rdev}"
            found[str(path.relative_to(top))] = f"{kind} {content!r}"
    return found
