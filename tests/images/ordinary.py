"""Well-behaved images, made in milliseconds: busybox, and static C programs of a few kilobytes."""

import functools
import hashlib
import io
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lodge.distribution import busybox
from tests.images.archive import docker_archive
from tests.images.layer import Layer


@functools.cache
def busybox_layer() -> bytes:
    """The file system of busybox as a tar."""
    sink = io.BytesIO()
    busybox.write_layer(busybox.find_busybox(), sink)
    return sink.getvalue()


def busybox_archive(name: str = "busybox:latest", *more: Layer, **config: object) -> bytes:
    """Busybox with layers of a test on top of it, as a docker archive."""
    return docker_archive(name, [busybox_layer(), *(layer.bytes() for layer in more)], config)


@functools.cache
def compiled(source: str) -> bytes | None:
    """A C program, static and small; None where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    # kept between runs: a compiler takes longer than most tests
    cache = Path(tempfile.gettempdir()) / f"lodge-test-programs-{os.getuid()}"
    program = cache / hashlib.sha256(source.encode()).hexdigest()[:16]
    if not program.exists():
        cache.mkdir(mode=0o700, exist_ok=True)
        partial = program.with_suffix(f".{os.getpid()}")
        command = [compiler, "-O1", "-static", "-s", "-o", str(partial), "-x", "c", "-"]
        subprocess.run(command, input=source, text=True, check=True)
        partial.rename(program)
    return program.read_bytes()


def program_archive(name: str, source: str, **config: object) -> bytes | None:
    """An image that holds nothing but one C program, /program; None where there is no compiler."""
    program = compiled(source)
    if program is None:
        return None
    layer = Layer().file("program", program, 0o755)
    return docker_archive(name, [layer.bytes()], {"Cmd": ["/program"], **config})
