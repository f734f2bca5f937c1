"""An image as a disk: its merged layers in one erofs file, made once, shared by all machines of the image.

The key is the list of layer directories, which the store names by their content. Owners, modes and extended
attributes stay as they are. A file is made under a temporary name; others that want the same wait for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence

from lodge.errors import Internal, Unavailable
from lodge.kernel import mount as m
from lodge.kernel.namespaces import CLONE_NEWNS, unshare

# A machine asks for whole pages; what lies behind the file system is never looked at.
_ALIGNMENT = 1 << 20
_PATIENCE = 1800.0


def disk(root: str, layers: Sequence[str]) -> str:
    """The erofs file of layer directories, uppermost first; Unavailable without mkfs.erofs."""
    directory = os.path.join(root, "images")
    path = os.path.join(directory, f"{key_of(layers)}.erofs")
    if os.path.exists(path):
        return path
    os.makedirs(directory, 0o700, exist_ok=True)
    program = shutil.which("mkfs.erofs", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise Unavailable(
            "an image becomes a machine's disk by mkfs.erofs, which is not installed",
            hint="apt-get install erofs-utils",
        )
    with _alone(f"{path}.lock"):
        if not os.path.exists(path):
            staged = f"{path}.making"
            _make(program, layers, staged, os.path.join(directory, "merged"))
            os.truncate(staged, -(-os.path.getsize(staged) // _ALIGNMENT) * _ALIGNMENT)
            _note(path, layers)
            os.rename(staged, path)
    return path


def key_of(layers: Sequence[str]) -> str:
    """The name of the disk of these layers."""
    real = "\n".join(os.path.realpath(layer) for layer in layers)
    return hashlib.sha256(real.encode()).hexdigest()[:32]


def forget_unused(root: str) -> int:
    """Remove the disks of images that are gone; how many bytes that gave back."""
    directory = os.path.join(root, "images")
    freed = 0
    for name in os.listdir(directory) if os.path.isdir(directory) else ():
        stem, dot, kind = name.partition(".")
        if kind != "layers":
            continue
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            layers = file.read().splitlines()
        if all(os.path.isdir(layer) for layer in layers):
            continue
        disk_path = os.path.join(directory, f"{stem}{dot}erofs")
        with contextlib.suppress(FileNotFoundError):
            freed += os.stat(disk_path).st_blocks * 512
            os.unlink(disk_path)
        os.unlink(os.path.join(directory, name))
    return freed


def _note(path: str, layers: Sequence[str]) -> None:
    with open(path.removesuffix("erofs") + "layers", "w", encoding="utf-8") as file:
        file.write("".join(f"{os.path.realpath(layer)}\n" for layer in layers))


@contextlib.contextmanager
def _alone(path: str) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _make(program: str, layers: Sequence[str], target: str, place: str) -> None:
    """In a child with a mount namespace of its own, where the layers are merged for mkfs.erofs to read."""
    os.makedirs(place, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target)
    words = [program, "--quiet", "-T0", "-U", "00000000-0000-0000-0000-000000000000", target, place]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
        # SAFETY: the caller, a monitor, has one thread; the mount is seen by this child alone.
        preexec_fn=lambda: _merge(layers, place),
    )
    if done.returncode:
        raise Internal(f"mkfs.erofs failed: {(done.stderr or done.stdout).strip()[-500:]}")


def _merge(layers: Sequence[str], place: str) -> None:
    unshare(CLONE_NEWNS)
    m.mount(None, "/", None, m.MS_REC | m.MS_PRIVATE)
    if len(layers) == 1:
        m.mount(layers[0], place, None, m.MS_BIND)
    else:
        m.mount("overlay", place, "overlay", m.MS_RDONLY, f"lowerdir={':'.join(layers)}")
