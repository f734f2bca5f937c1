"""A kernel for virtual machines: Debian's, made for clouds, fetched as a package and unpacked, not installed.

apt finds and checks the package, dpkg-deb unpacks it; both belong to every Debian and Ubuntu. Where there is
no apt, people name a kernel and its modules by path.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from lodge.errors import NotFound, Unavailable

Progress = Callable[[str], None]

# The names of the newest of each: Debian's, Ubuntu's.
_PACKAGES = ("linux-image-cloud-{arch}", "linux-image-kvm", "linux-image-virtual", "linux-image-{arch}")
_DEPENDS = re.compile(r"^\s*Depends: (linux-(?:image|modules)-\S+)", re.MULTILINE)
_PATIENCE = 900.0


def fetch(directory: Path, progress: Progress) -> tuple[Path, Path]:
    """Bring a kernel into `directory`, which holds nothing else; its file and its modules' directory.

    Unavailable when there is no apt, or it has no such package or can't fetch it.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Unavailable(
            "a kernel for machines is fetched by apt, which this system has not",
            hint="name one: lodge vm setup --kernel FILE --modules DIRECTORY",
        )
    packages = _packages()
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=directory.parent) as place:
        progress(f"Fetching {', '.join(packages)}")
        _run(["apt-get", "download", "-qq", *packages], place)
        staged = tempfile.mkdtemp(prefix=".kernel-", dir=directory.parent)
        for package in sorted(glob.glob(os.path.join(place, "*.deb"))):
            progress(f"Unpacking {os.path.basename(package)}")
            _run(["dpkg-deb", "-x", package, staged], place)
    # SAFETY: a directory that only this function makes, below the engine's own.
    shutil.rmtree(directory, ignore_errors=True)
    os.rename(staged, directory)
    return find(directory)


def find(directory: Path) -> tuple[Path, Path]:
    """The kernel and the modules that were unpacked into a directory; NotFound."""
    kernels = sorted(directory.glob("boot/vmlinuz-*"))
    if not kernels:
        raise NotFound(f"no kernel in {directory}")
    release = kernels[-1].name.removeprefix("vmlinuz-")
    for base in ("lib/modules", "usr/lib/modules"):
        if (directory / base / release).is_dir():
            return kernels[-1], directory / base / release
    raise NotFound(f"no modules of {release} in {directory}")


def _packages() -> list[str]:
    """The packages of the newest kernel: the image, and its modules where they are apart."""
    arch = _run(["dpkg", "--print-architecture"], "/").strip()
    for name in (each.format(arch=arch) for each in _PACKAGES):
        image = _needed_by(name)
        if image:
            return [image[0], *(each for each in _needed_by(image[0]) if each.startswith("linux-modules-"))]
    raise Unavailable("this machine's apt knows no kernel for machines", hint="apt-get update, and try again")


def _needed_by(package: str) -> list[str]:
    done = subprocess.run(
        ["apt-cache", "depends", "--no-recommends", package],
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
    )
    return _DEPENDS.findall(done.stdout) if done.returncode == 0 else []


def _run(command: list[str], place: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_PATIENCE, cwd=place
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command[0]}: {error}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"code {done.returncode}"]
        raise Unavailable(f"{' '.join(command[:2])} failed: {said[0]}", hint="apt-get update, and try again")
    return done.stdout
