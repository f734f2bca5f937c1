"""A busybox root, and boxes made of it: each test gets a dwelling of its own, and leaves nothing."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lodge.kernel.cgroups import Hierarchy, detect
from lodge.runtime.contract import StdioRequest
from lodge.runtime.process import Extras, ProcessDwelling
from lodge.runtime.program import ChildProgram
from lodge.spec.mount import Mount
from lodge.spec.runtime import Process, RuntimeConfig

BUSYBOX = shutil.which("busybox") or "/bin/busybox"
_WORDS = "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE"
CAPABILITIES = [f"CAP_{word}" for word in f"{_WORDS} SYS_CHROOT KILL AUDIT_WRITE".split(" ")]
QUIET = ["nosuid", "noexec", "nodev"]
MOUNTS: list[dict[str, Any]] = [
    {"destination": "/proc", "type": "proc", "source": "proc", "options": QUIET},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    {
        "destination": "/dev/pts",
        "type": "devpts",
        "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*QUIET, "ro"]},
    {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": [*QUIET, "ro"]},
]
NAMESPACES = ("mount", "pid", "ipc", "uts", "network", "cgroup")


class Result(msgspec.Struct):
    """How a program ended and what it wrote."""

    code: int
    out: str
    err: str


class Box:
    """A container of the test: `config` is changed before `make`, the rest is the dwelling's."""

    def __init__(self, directory: Path, root: Path, hierarchy: Hierarchy) -> None:
        self.directory = directory
        self.hierarchy = hierarchy
        self.root = root
        self.extras = Extras()
        self.config: dict[str, Any] = {
            "ociVersion": "1.2.1",
            "root": {"path": str(root)},
            "hostname": "box",
            "process": {
                "cwd": "/",
                "args": ["true"],
                "env": ["PATH=/bin"],
                "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES),
            },
            "mounts": [dict(mount) for mount in MOUNTS],
            "linux": {
                "cgroupsPath": f"/lodge-box-{os.getpid()}/{directory.name}",
                "namespaces": [{"type": kind} for kind in NAMESPACES],
            },
        }
        self.upper = directory / "upper"
        for name in ("upper", "work", "state"):
            (directory / name).mkdir()
        self.made: ProcessDwelling | None = None
        self.init: ChildProgram | None = None

    @property
    def linux(self) -> dict[str, Any]:
        part: dict[str, Any] = self.config["linux"]
        return part

    @property
    def process(self) -> dict[str, Any]:
        part: dict[str, Any] = self.config["process"]
        return part

    def mount(self, destination: str, source: Path | str, *options: str, kind: str = "bind") -> None:
        mount = {"destination": destination, "type": kind, "source": str(source), "options": list(options)}
        self.config["mounts"].append(mount)

    def without(self, *namespaces: str) -> None:
        self.linux["namespaces"] = [n for n in self.linux["namespaces"] if n["type"] not in namespaces]

    def join(self, kind: str, path: str) -> None:
        self.without(kind)
        self.linux["namespaces"].append({"type": kind, "path": path})

    def remap(self, host: int = 100_000) -> None:
        self.linux["namespaces"].append({"type": "user"})
        mapping = [{"containerID": 0, "hostID": host, "size": 65536}]
        self.linux["uidMappings"] = self.linux["gidMappings"] = mapping

    def make(self, *args: str, **options: Any) -> ProcessDwelling:
        if args:
            self.process["args"] = list(args)
        layers = (f"lowerdir={self.root}", f"upperdir={self.upper}", f"workdir={self.directory}/work")
        self.made = ProcessDwelling(
            self.directory.name,
            str(self.directory),
            msgspec.convert(self.config, RuntimeConfig),
            state_dir=str(self.directory / "state"),
            root_mounts=[Mount("overlay", "overlay", layers)],
            extras=self.extras,
            hierarchy=self.hierarchy,
            **options,
        )
        return self.made

    def start(self, *args: str, stdio: StdioRequest | None = None) -> ChildProgram:
        dwelling = self.make(*args)
        self.init = dwelling.create(stdio or StdioRequest())
        dwelling.start()
        return self.init

    def run(self, *args: str) -> Result:
        """Run to the end; what it writes must fit into a pipe."""
        return finish(self.start(*args))

    def sh(self, script: str) -> Result:
        return self.run("sh", "-c", script)

    def exec(self, *args: str, **changes: Any) -> Result:
        assert self.made is not None
        return finish(self.made.execute(self.exec_process(*args, **changes), StdioRequest()))

    def exec_process(self, *args: str, **changes: Any) -> Process:
        return msgspec.convert({**self.process, "args": list(args), **changes}, Process)

    def remove(self) -> None:
        if self.made is not None:
            self.made.remove()
        if self.init is not None:
            self.init.streams.close()
            self.init.close()


def finish(program: ChildProgram) -> Result:
    """Wait, read what is left in the pipes, let go."""
    code = program.reap()
    texts = []
    for fd in (program.streams.stdout, program.streams.stderr):
        assert fd is not None
        os.set_blocking(fd, False)
        try:
            texts.append(os.read(fd, 1 << 20).decode())
        except BlockingIOError:
            texts.append("")
    program.streams.close()
    program.close()
    return Result(code, *texts)


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of busybox and little else; tests write to their own upper directory only."""
    root = tmp_path_factory.mktemp("busybox")
    root.chmod(0o755)
    for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp"):
        (root / name).mkdir()
    (root / "tmp").chmod(0o1777)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    names = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for name in names:
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nbob:x:1000:1001::/home/bob:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nbob:x:1001:\nwheel:x:10:bob\n")
    return root


@pytest.fixture(scope="session")
def hierarchy() -> Hierarchy:
    return detect()


@pytest.fixture
def make_box(
    tmp_path: Path, busybox: Path, hierarchy: Hierarchy, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Box]]:
    boxes: list[Box] = []

    def make(root: Path | None = None) -> Box:
        directory = tmp_path / f"box{len(boxes)}-{abs(hash(request.node.name)) % 10**8}"
        directory.mkdir()
        boxes.append(Box(directory, root or busybox, hierarchy))
        return boxes[-1]

    yield make
    for box in boxes:
        box.remove()
        assert not hierarchy.group(box.linux["cgroupsPath"]).exists()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    hierarchy.group(f"/lodge-box-{os.getpid()}").remove()


@pytest.fixture
def box(make_box: Callable[..., Box]) -> Box:
    return make_box()
