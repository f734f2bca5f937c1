"""Images that are right as archives, and aim at the host when a container of them is made or entered.

Each function repeats a known failure (rows of hostile.md) and is given the path of a canary, which must stay
as it is whatever becomes of the container.
"""

import io
import tarfile
from pathlib import Path

from tests.images.archive import docker_archive
from tests.images.attack import NAME, Attack, Make
from tests.images.layer import Layer
from tests.images.ordinary import busybox_layer

IMAGES: dict[str, Make] = {}


def _image(make: Make) -> Make:
    IMAGES[make.__name__] = make
    return make


def _with(layer: Layer) -> bytes:
    return docker_archive(NAME, [busybox_layer(), layer.bytes()])


def _busybox_without(*tops: str) -> bytes:
    """Busybox without some members, so that an image can put links in their place."""
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(busybox_layer())) as old,
        tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in old:
            if not any(member.name == top or member.name.startswith(top + "/") for top in tops):
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
    return buffer.getvalue()


def _linked_top(top: str, canary: Path) -> Attack:
    layers = [_busybox_without(top), Layer().symlink(top, str(canary)).bytes()]
    return Attack(f"/{top} is a link to a folder of the host", docker_archive(NAME, layers))


for _top in ("dev", "proc", "sys", "etc", "run", "tmp"):
    # hostile.md 6, CVE-2026-41579, CVE-2026-47766: what the engine mounts or makes there lands outside.
    IMAGES[f"linked_{_top}"] = lambda canary, top=_top: _linked_top(top, canary)  # type: ignore[misc]


def _linked_inside(
    folder: str, names: list[str], canary: Path, config: dict[str, object] | None = None
) -> Attack:
    layer = Layer().directory(folder)
    for name in names:
        layer.symlink(f"{folder}/{name}", f"{canary}/{name}")
    archive = docker_archive(NAME, [_busybox_without(folder), layer.bytes()], config)
    return Attack(f"names in /{folder} are links to the host", archive)


@_image
def links_in_dev(canary: Path) -> Attack:
    """hostile.md 3, 4, 6: /dev/null, console, pts, shm and more are links."""
    names = ["null", "zero", "tty", "console", "pts", "shm", "mqueue", "fd", "stdin", "ptmx"]
    return _linked_inside("dev", names, canary)


@_image
def links_in_etc(canary: Path) -> Attack:
    """The files that an engine writes for each container are links: hosts, hostname, resolv.conf, passwd."""
    return _linked_inside("etc", ["hosts", "hostname", "resolv.conf", "passwd", "group", "mtab"], canary)


@_image
def cyclic_links(canary: Path) -> Attack:
    """Every mount point is a link to itself or to the next one."""
    layer = (
        Layer().symlink("proc", "sys").symlink("sys", "proc").symlink("dev", "/dev").symlink("tmp", "./tmp")
    )
    return Attack(
        "cyclic links at mount points",
        docker_archive(NAME, [_busybox_without("proc", "sys", "dev", "tmp"), layer.bytes()]),
    )


@_image
def mount_point_is_a_file(canary: Path) -> Attack:
    """/proc and /dev are plain files."""
    layer = Layer().file("proc", "x").file("dev", "x")
    archive = docker_archive(NAME, [_busybox_without("proc", "dev"), layer.bytes()])
    return Attack("files at mount points", archive)


@_image
def workdir_through_a_link(canary: Path) -> Attack:
    """hostile.md 12, CVE-2026-55686: the working directory is made behind a link to the host."""
    layer = Layer().symlink("work", str(canary))
    archive = docker_archive(
        NAME, [busybox_layer(), layer.bytes()], {"WorkingDir": "/work/made/by/the/engine"}
    )
    return Attack("a working directory behind a link", archive)


@_image
def workdir_is_a_descriptor(canary: Path) -> Attack:
    """hostile.md 2, CVE-2024-21626: the working directory is a descriptor that the engine left open."""
    archive = docker_archive(NAME, [busybox_layer()], {"WorkingDir": "/proc/self/fd/7"})
    return Attack("a working directory that is a descriptor", archive, starts=False)


@_image
def volume_through_a_link(canary: Path) -> Attack:
    """hostile.md 11: a volume's place is behind a link, and the image's files there are copied into it."""
    layer = Layer().symlink("data", str(canary))
    archive = docker_archive(
        NAME, [busybox_layer(), layer.bytes()], {"Volumes": {"/data/volume": {}, "/data": {}}}
    )
    return Attack("a volume behind a link", archive)


@_image
def interpreter_is_the_engine(canary: Path) -> Attack:
    """hostile.md 1, CVE-2019-5736: the program's interpreter is whoever executes it."""
    layer = Layer().file("attack", "#!/proc/self/exe\n", 0o755)
    archive = docker_archive(NAME, [busybox_layer(), layer.bytes()], {"Cmd": ["/attack"]})
    return Attack("a script whose interpreter is /proc/self/exe", archive)


@_image
def environment_without_equals(canary: Path) -> Attack:
    """hostile.md 26, CVE-2026-57231: a name alone must not be looked up in the engine's own environment."""
    archive = docker_archive(
        NAME, [busybox_layer()], {"Env": ["HOME", "*", "PATH=/bin", "LODGE_TEST_SECRET"]}
    )
    return Attack("an environment without values", archive)


@_image
def programs_that_shadow(canary: Path) -> Attack:
    """hostile.md 9, 10: the image has decompressors and libraries that an engine might run or load."""
    layer = Layer()
    for name in ("xz", "unpigz", "igzip", "zstd", "gzip", "tar", "mount", "newuidmap"):
        layer.file(f"usr/bin/{name}", f"#!/bin/sh\necho owned > {canary}/secret\n", 0o755)
    for name in ("libnss_files.so.2", "libc.so.6", "python3.so"):
        layer.file(f"lib/{name}", "not a library", 0o755)
    return Attack("programs and libraries with names of the engine's tools", _with(layer))


@_image
def user_that_is_a_number_with_a_name(canary: Path) -> Attack:
    """hostile.md 7, CVE-2026-46680: `1` is uid 1, even where passwd has a user called 1 with uid 0."""
    layer = Layer().file("etc/passwd", "root:x:0:0::/root:/bin/sh\n1:x:0:0::/root:/bin/sh\n")
    archive = docker_archive(NAME, [busybox_layer(), layer.bytes()], {"User": "1"})
    return Attack("a user named by a number", archive, starts=True)


@_image
def passwd_that_is_huge(canary: Path) -> Attack:
    """hostile.md 25, CVE-2026-47262: a table of users without end must not fill the engine's memory."""
    line = "u" * 1000 + ":x:1:1::/:/bin/sh\n"
    layer = Layer().file("etc/passwd", line * 64_000).file("etc/group", "g" * 64_000_000)
    archive = docker_archive(NAME, [busybox_layer(), layer.bytes()], {"User": "nobody"})
    return Attack("tables of users of 64 MB", archive)


@_image
def passwd_is_a_device(canary: Path) -> Attack:
    """Reading /etc/passwd must not hang on a fifo."""
    layer = Layer().fifo("etc/passwd").fifo("etc/group")
    archive = docker_archive(
        NAME, [_busybox_without("etc/passwd", "etc/group"), layer.bytes()], {"User": "nobody"}
    )
    return Attack("a table of users that is a fifo", archive)


@_image
def long_names(canary: Path) -> Attack:
    """Names of 255 bytes, as many deep as a path can be, and not UTF-8."""
    layer = Layer().file("n" * 255, "x").file("/".join(["d" * 250] * 15) + "/f", "x").file("caf\udce9", "x")
    return Attack("names of 255 bytes", _with(layer), refused=False, starts=True)


@_image
def labels_with_control_characters(canary: Path) -> Attack:
    """hostile.md 23: strings of the image must not reach a terminal, a log or a command as they are."""
    labels = {"a\n\x1b[31mb": "$(touch /tmp/owned)\0", "io.lodge.host": f"exec {canary}/program"}
    return Attack(
        "labels with control characters", docker_archive(NAME, [busybox_layer()], {"Labels": labels})
    )


@_image
def devices_in_the_image(canary: Path) -> Attack:
    """A block device node of the host's disk: made or not, the device cgroup must refuse it."""
    layer = Layer().device("disk", 254, 0, block=True).device("kmsg", 1, 11).device("mem", 1, 1)
    return Attack("device nodes in the image", _with(layer), starts=True)


@_image
def setuid_program(canary: Path) -> Attack:
    """hostile.md 28: a setuid program of an image must not be reachable for other users of the host."""
    layer = Layer().file("su", busybox_layer()[:16], 0o4755)
    return Attack("a setuid program", _with(layer), starts=True)
