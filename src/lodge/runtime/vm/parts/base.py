"""What every machine boots from: a kernel and an initramfs of our own, made once by `lodge vm setup`.

A directory `base` below the wing's root: kernel, initramfs, base.json. The key names all that went in, so
that whatever was made from another base (frozen machines) is told apart.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile

import msgspec
from msgspec import Struct

from lodge.errors import NotFound, Unavailable
from lodge.runtime.vm.parts import agent, aml, cpio
from lodge.runtime.vm.parts.modules import Modules

SLOTS = 8
"""Places for virtio devices of a microvm without a second interrupt controller."""
FIRST_FREE = 3
"""Slots before this one are filled when a machine boots, the others perhaps later."""
_ADDRESS = 0xFEB00000
_INTERRUPT = 16


class Base(Struct, frozen=True):
    """A base that is ready. `release` is the kernel's, `tsc_khz` this processor's counter's speed."""

    directory: str
    key: str
    release: str
    tsc_khz: int

    @property
    def kernel(self) -> str:
        """The kernel's file."""
        return os.path.join(self.directory, "kernel")

    @property
    def initramfs(self) -> str:
        """The first root's file."""
        return os.path.join(self.directory, "initramfs")


class _Record(Struct):
    key: str
    release: str
    tsc_khz: int


def find(root: str) -> Base:
    """The base of a wing's root; Unavailable says what to do when there is none."""
    directory = os.path.join(root, "base")
    try:
        with open(os.path.join(directory, "base.json"), "rb") as file:
            record = msgspec.json.decode(file.read(), type=_Record)
    except (FileNotFoundError, msgspec.DecodeError):
        raise Unavailable(
            "virtual machines have no kernel yet", hint="fetch one once: lodge vm setup"
        ) from None
    return Base(directory, record.key, record.release, record.tsc_khz)


def make(root: str, kernel: str, modules: str) -> Base:
    """Make the base from a kernel's file and its module directory, in place of the last.

    NotFound, Unsupported.
    """
    for path in (kernel, modules):
        if not os.path.exists(path):
            raise NotFound(f"no such file or directory: {path}")
    os.makedirs(root, 0o700, exist_ok=True)
    program = agent.build(os.path.join(root, "cache"))
    staged = tempfile.mkdtemp(dir=root, prefix=".base-")
    try:
        shutil.copyfile(kernel, os.path.join(staged, "kernel"))
        content = initramfs(Modules(modules).in_order(), program)
        _write(os.path.join(staged, "initramfs"), content)
        digest = hashlib.sha256(content)
        with open(kernel, "rb") as file:
            digest.update(file.read())
        release = os.path.basename(modules.rstrip("/"))
        record = _Record(digest.hexdigest()[:16], release, agent.tsc_khz(program))
        _write(os.path.join(staged, "base.json"), msgspec.json.encode(record))
        os.chmod(staged, 0o755)
        _replace(staged, os.path.join(root, "base"))
    except BaseException:
        # SAFETY: our own temporary directory, of a name that nobody else has.
        shutil.rmtree(staged, ignore_errors=True)
        raise
    return find(root)


def initramfs(modules: list[str], program: str) -> bytes:
    """The first root: a table of slots for the kernel, then modules and the agent.

    The same in, the same out.
    """
    slots = [
        aml.Slot(number, _ADDRESS + 512 * number, _INTERRUPT + number) for number in range(FIRST_FREE, SLOTS)
    ]
    early = [
        *(cpio.directory(name) for name in ("kernel", "kernel/firmware", "kernel/firmware/acpi")),
        cpio.file("kernel/firmware/acpi/slots.aml", aml.table(slots)),
    ]
    entries = [
        *(cpio.directory(name) for name in ("dev", "modules")),
        cpio.Entry("dev/console", 0o020600, device=(5, 1)),
    ]
    entries += [cpio.file(f"modules/{os.path.basename(path)}", _read(path)) for path in modules]
    names = "".join(f"{os.path.basename(path)}\n" for path in modules)
    entries.append(cpio.file("modules/list", names.encode()))
    entries.append(cpio.file("init", _read(program), executable=True))
    return cpio.archive(early) + cpio.archive(entries)


def _replace(staged: str, target: str) -> None:
    """A directory can't be renamed over one that has files: the old one steps aside first."""
    aside = f"{target}.old"
    # SAFETY: both are directories of this module's making, below the wing's root.
    shutil.rmtree(aside, ignore_errors=True)
    if os.path.exists(target):
        os.rename(target, aside)
    os.rename(staged, target)
    shutil.rmtree(aside, ignore_errors=True)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        os.fsync(file.fileno())
