"""The words of mount(8) and of the OCI runtime-spec ("Linux mount options") as numbers for the kernel.

A table and a pure function. Words that begin with r mean the whole tree and become mount_setattr(2)
attributes; propagation is a call of its own each; what no table knows is data for the file system.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from lodge.kernel.mount import calls as c

# word: (flag, whether the word clears it)
_FLAGS = {
    "async": (c.MS_SYNCHRONOUS, True),
    "atime": (c.MS_NOATIME, True),
    "bind": (c.MS_BIND, False),
    "defaults": (0, False),
    "dev": (c.MS_NODEV, True),
    "diratime": (c.MS_NODIRATIME, True),
    "dirsync": (c.MS_DIRSYNC, False),
    "exec": (c.MS_NOEXEC, True),
    "iversion": (c.MS_I_VERSION, False),
    "lazytime": (c.MS_LAZYTIME, False),
    "loud": (c.MS_SILENT, True),
    "mand": (c.MS_MANDLOCK, False),
    "noatime": (c.MS_NOATIME, False),
    "nodev": (c.MS_NODEV, False),
    "nodiratime": (c.MS_NODIRATIME, False),
    "noexec": (c.MS_NOEXEC, False),
    "noiversion": (c.MS_I_VERSION, True),
    "nolazytime": (c.MS_LAZYTIME, True),
    "nomand": (c.MS_MANDLOCK, True),
    "norelatime": (c.MS_RELATIME, True),
    "nostrictatime": (c.MS_STRICTATIME, True),
    "nosuid": (c.MS_NOSUID, False),
    "nosymfollow": (c.MS_NOSYMFOLLOW, False),
    "rbind": (c.MS_BIND | c.MS_REC, False),
    "relatime": (c.MS_RELATIME, False),
    "remount": (c.MS_REMOUNT, False),
    "ro": (c.MS_RDONLY, False),
    "rw": (c.MS_RDONLY, True),
    "silent": (c.MS_SILENT, False),
    "strictatime": (c.MS_STRICTATIME, False),
    "suid": (c.MS_NOSUID, True),
    "symfollow": (c.MS_NOSYMFOLLOW, True),
    "sync": (c.MS_SYNCHRONOUS, False),
}

_PROPAGATION = {
    "private": c.MS_PRIVATE,
    "rprivate": c.MS_PRIVATE | c.MS_REC,
    "shared": c.MS_SHARED,
    "rshared": c.MS_SHARED | c.MS_REC,
    "slave": c.MS_SLAVE,
    "rslave": c.MS_SLAVE | c.MS_REC,
    "unbindable": c.MS_UNBINDABLE,
    "runbindable": c.MS_UNBINDABLE | c.MS_REC,
}

# word: (attribute, whether the word clears it)
_RECURSIVE = {
    "rro": (c.MOUNT_ATTR_RDONLY, False),
    "rrw": (c.MOUNT_ATTR_RDONLY, True),
    "rnosuid": (c.MOUNT_ATTR_NOSUID, False),
    "rsuid": (c.MOUNT_ATTR_NOSUID, True),
    "rnodev": (c.MOUNT_ATTR_NODEV, False),
    "rdev": (c.MOUNT_ATTR_NODEV, True),
    "rnoexec": (c.MOUNT_ATTR_NOEXEC, False),
    "rexec": (c.MOUNT_ATTR_NOEXEC, True),
    "rnodiratime": (c.MOUNT_ATTR_NODIRATIME, False),
    "rdiratime": (c.MOUNT_ATTR_NODIRATIME, True),
    "rnosymfollow": (c.MOUNT_ATTR_NOSYMFOLLOW, False),
    "rsymfollow": (c.MOUNT_ATTR_NOSYMFOLLOW, True),
}

# The access time is one field of three values; a word that clears one value leaves the kernel's default.
_RECURSIVE_ATIME = {
    "rrelatime": c.MOUNT_ATTR_RELATIME,
    "rnorelatime": c.MOUNT_ATTR_RELATIME,
    "rnoatime": c.MOUNT_ATTR_NOATIME,
    "ratime": c.MOUNT_ATTR_RELATIME,
    "rstrictatime": c.MOUNT_ATTR_STRICTATIME,
    "rnostrictatime": c.MOUNT_ATTR_RELATIME,
}

# All words that mean something here; others are data.
WORDS = frozenset((*_FLAGS, *_PROPAGATION, *_RECURSIVE, *_RECURSIVE_ATIME, "tmpcopyup", "idmap", "ridmap"))


class MountOptions(Struct, frozen=True):
    """What a list of words means.

    `flags` are MS_* to set, `cleared` those that a word asked to be off (a remount of a bind needs to know);
    `propagation` is one mount(2) call each, in order; `attr_set` and `attr_clr` go to mount_setattr(2) with
    AT_RECURSIVE when either is not zero; `data` is for the file system, comma-separated. `copy_up`
    (tmpcopyup) asks for the covered directory's content in a fresh tmpfs; `idmap` is "", "idmap" or "ridmap".
    """

    flags: int = 0
    cleared: int = 0
    propagation: tuple[int, ...] = ()
    attr_set: int = 0
    attr_clr: int = 0
    data: str = ""
    copy_up: bool = False
    idmap: str = ""


def parse_options(words: Iterable[str]) -> MountOptions:
    """Read option words; a later word wins over an earlier one. Words of user space (x-...) are skipped."""
    flags = cleared = attr_set = attr_clr = 0
    propagation: list[int] = []
    data: list[str] = []
    copy_up = False
    idmap = ""
    for word in words:
        if word in _FLAGS:
            flag, clears = _FLAGS[word]
            flags, cleared = (flags & ~flag, cleared | flag) if clears else (flags | flag, cleared & ~flag)
        elif word in _PROPAGATION:
            propagation.append(_PROPAGATION[word])
        elif word in _RECURSIVE:
            flag, clears = _RECURSIVE[word]
            attr_set, attr_clr = (
                (attr_set & ~flag, attr_clr | flag) if clears else (attr_set | flag, attr_clr & ~flag)
            )
        elif word in _RECURSIVE_ATIME:
            attr_set = (attr_set & ~c.MOUNT_ATTR__ATIME) | _RECURSIVE_ATIME[word]
            attr_clr |= c.MOUNT_ATTR__ATIME
        elif word == "tmpcopyup":
            copy_up = True
        elif word in ("idmap", "ridmap"):
            idmap = word
        elif word and not word.startswith(("x-", "X-")):
            data.append(word)
    return MountOptions(
        flags, cleared, tuple(propagation), attr_set, attr_clr, ",".join(data), copy_up, idmap
    )
