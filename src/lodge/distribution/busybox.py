"""The image `busybox`: one static program under its many names, and the few files that a user expects.

The tar depends on nothing but the program: names sorted, times those of the program's own build, owner root.
Reads the busybox of the machine; writes to the sink that it is given.
"""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path

from lodge.distribution.layer_cache import Sink
from lodge.errors import Unavailable, Unsupported

DIRECTORIES = {
    "bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "proc": 0o755, "root": 0o700, "run": 0o755,
    "sys": 0o755, "tmp": 0o1777, "usr": 0o755, "usr/bin": 0o755, "usr/sbin": 0o755, "var": 0o755,
    "var/log": 0o755, "var/spool": 0o755, "var/tmp": 0o1777, "var/www": 0o755,
}  # fmt: skip

USERS = (
    ("root", 0, 0, "/root", "/bin/sh"),
    ("daemon", 1, 1, "/usr/sbin", "/bin/false"),
    ("bin", 2, 2, "/bin", "/bin/false"),
    ("www-data", 33, 33, "/var/www", "/bin/false"),
    ("nobody", 65534, 65534, "/home", "/bin/false"),
)
GROUPS = {
    "root": 0, "daemon": 1, "bin": 2, "sys": 3, "adm": 4, "tty": 5, "disk": 6, "wheel": 10, "mail": 8,
    "audio": 29, "video": 28, "www-data": 33, "utmp": 43, "staff": 50, "users": 100, "nobody": 65534,
}  # fmt: skip

_ELF_CLASS_64 = 2
_PT_INTERP = 3


def find_busybox() -> Path:
    """Return the machine's static busybox; Unavailable, naming the package, when there is none."""
    hint = "install the package busybox-static (apt-get install busybox-static)"
    found = shutil.which("busybox", path="/bin:/usr/bin:/sbin:/usr/sbin:/usr/local/bin")
    if found is None:
        raise Unavailable("busybox is not installed, and the image is made of it", hint=hint)
    path = Path(found).resolve()
    if not is_static(path.read_bytes()):
        raise Unavailable(f"{path} needs shared libraries, which the image would not have", hint=hint)
    return path


def is_static(program: bytes) -> bool:
    """Whether a program asks for no interpreter (elf(5), PT_INTERP), so that it runs in an empty root.

    Raises Unsupported for what is no 64-bit ELF file.
    """
    if program[:4] != b"\x7fELF" or program[4] != _ELF_CLASS_64:
        raise Unsupported("busybox is not a 64-bit ELF program")
    order = "<" if program[5] == 1 else ">"
    (table,) = struct.unpack_from(order + "Q", program, 0x20)
    size, count = struct.unpack_from(order + "HH", program, 0x36)
    kinds = (struct.unpack_from(order + "I", program, table + index * size)[0] for index in range(count))
    return _PT_INTERP not in kinds


def applets(busybox: Path) -> list[str]:
    """Return the names that this busybox answers to, sorted."""
    listing = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    return sorted(set(listing.stdout.split()) - {"busybox"})


def write_layer(busybox: Path, sink: Sink) -> None:
    """Write the image's only layer as a tar."""
    built = int(busybox.stat().st_mtime)
    with tarfile.open(fileobj=_Stream(sink), mode="w|", format=tarfile.PAX_FORMAT) as tar:
        layer = _Layer(tar, built)
        for name, mode in sorted(DIRECTORIES.items()):
            layer.add(name, tarfile.DIRTYPE, mode)
        layer.add("bin/busybox", tarfile.REGTYPE, 0o755, content=busybox.read_bytes())
        for name in applets(busybox):
            layer.add(f"bin/{name}", tarfile.LNKTYPE, 0o755, target="bin/busybox")
        # scripts of the whole world begin with #!/usr/bin/env
        layer.add("usr/bin/env", tarfile.SYMTYPE, 0o777, target="../../bin/env")
        for name, text in _tables().items():
            mode = 0o640 if name == "etc/shadow" else 0o644
            layer.add(name, tarfile.REGTYPE, mode, content=text.encode())


def _tables() -> dict[str, str]:
    passwd = (f"{name}:x:{uid}:{gid}:{name}:{home}:{shell}\n" for name, uid, gid, home, shell in USERS)
    groups = sorted(GROUPS.items(), key=lambda item: item[1])
    return {
        "etc/group": "".join(f"{name}:x:{gid}:\n" for name, gid in groups),
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "etc/passwd": "".join(passwd),
        "etc/shadow": "".join(f"{user[0]}:*:::::::\n" for user in USERS),
    }


class _Layer:
    """A tar being written, every member with the same owner and time."""

    def __init__(self, tar: tarfile.TarFile, time: int) -> None:
        self.tar = tar
        self.time = time

    def add(self, name: str, kind: bytes, mode: int, *, target: str = "", content: bytes = b"") -> None:
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.linkname = kind, mode, target
        member.mtime, member.size = self.time, len(content)
        member.uname = member.gname = "root"
        self.tar.addfile(member, io.BytesIO(content))


class _Stream(io.RawIOBase):
    """The file that tarfile asks for, over a sink."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        block = bytes(data)  # type: ignore[call-overload]  # tarfile writes bytes only
        self.sink.write(block)
        return len(block)
