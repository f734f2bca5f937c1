"""The kinds of dwelling that the suite runs against, each with a maker of talks."""

import glob
import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lodge.distribution import guest_kernel
from lodge.runtime.launcher import Launcher
from lodge.runtime.link import MonitorLink
from lodge.runtime.messages import VM_WING, Created, Launch, LogSpec, Start, Started
from lodge.runtime.vm.parts import base
from lodge.spec.runtime import Linux, Mount, Namespace, Process, Root, RuntimeConfig
from tests.contract.runtime.talk import Talk

HOST_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
VM_PARTS = ("qemu-system-x86_64", "mkfs.erofs", "cc", "apt-get")
EXTERNAL = {"crun": "/tmp/peers/bin/crun", "runc": "/tmp/peers/bin/runc"}
# Of this run alone: others may run at the same time.
GROUP = f"lodge-contract-{os.getpid()}"
PROJECT = Path(__file__).resolve().parents[3]


class House:
    """Makes containers of one kind."""

    def __init__(self, kind: str, directory: Path, rootfs: Path | None, launcher: Launcher | None) -> None:
        self.kind = kind
        self.directory = directory
        self.rootfs = rootfs
        self.launcher = launcher
        self._talks: list[Talk] = []
        self._monitors: list[subprocess.Popen[bytes]] = []

    @property
    def isolated(self) -> bool:
        """Whether the programs are in a container."""
        return self.kind != "plain"

    def order(self, script: str | list[str], **fields: Any) -> dict[str, Any]:
        """The fields of a Launch for a shell script, or a list of words."""
        name = fields.pop("id", uuid.uuid4().hex)
        args = script if isinstance(script, list) else ["/bin/sh", "-c", script]
        cwd = fields.pop("cwd", "/")
        config = self._config(name, args, cwd, bool(fields.get("terminal")))
        bundle = self.directory / "bundles" / name
        bundle.mkdir(parents=True, exist_ok=True)
        order = {
            "id": name,
            "bundle": str(bundle),
            "state_dir": str(self.directory / "state" / name),
            "config": config,
            "log": LogSpec(path=str(bundle / "log")),
        }
        if self.kind in EXTERNAL:
            order["runtime"] = EXTERNAL[self.kind]
        if self.kind == VM_WING:
            order["runtime"] = VM_WING
        return order | fields

    def _config(self, name: str, args: list[str], cwd: str, terminal: bool) -> RuntimeConfig:
        process = Process(
            cwd=cwd,
            args=args,
            env=[f"PATH={HOST_PATH}", "TERM=xterm"],
            terminal=terminal,
            no_new_privileges=True,
        )
        if self.rootfs is None:
            return RuntimeConfig(oci_version="1.2.0", process=process)
        spaces = ["pid", "mount", "ipc", "uts"] + (["network"] if self.kind == "ahead" else [])
        options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
        return RuntimeConfig(
            oci_version="1.2.0",
            root=Root(path=str(self.rootfs)),
            process=process,
            mounts=[
                Mount(destination="/proc", type="proc", source="proc"),
                Mount(destination="/dev", type="tmpfs", source="tmpfs", options=["nosuid", "mode=755"]),
                Mount(destination="/dev/pts", type="devpts", source="devpts", options=options),
                Mount(destination="/tmp", type="tmpfs", source="tmpfs", options=["mode=1777"]),
            ],
            linux=Linux(
                cgroups_path=f"/{GROUP}/{name}",
                namespaces=[Namespace(type=kind) for kind in spaces],
            ),
        )

    def talk(self, order: dict[str, Any]) -> Talk:
        """A talk with a new monitor, to which the order was sent (as request 1)."""
        if self.launcher is not None:
            talk = Talk(self.launcher.launch(Launch(request=0, **order)))
        else:
            talk = Talk(self._plain_monitor())
            talk.link.send(Launch(request=0, **order))
        self._talks.append(talk)
        return talk

    def _plain_monitor(self) -> MonitorLink:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "tests.contract.runtime.plain", str(theirs.fileno())]
            monitor = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=PROJECT)
        self._monitors.append(monitor)
        return MonitorLink(ours)

    def created(self, script: str | list[str], **fields: Any) -> Talk:
        """A container that was made, not started."""
        talk = self.talk(self.order(script, **fields))
        talk.fact(Created)
        return talk

    def started(self, script: str | list[str], **fields: Any) -> Talk:
        """A container that runs."""
        talk = self.created(script, **fields)
        talk.done(Start)
        talk.fact(Started)
        return talk

    def connect(self, order: dict[str, Any]) -> Talk:
        """Another talk with the monitor of an order."""
        talk = Talk(MonitorLink.connect(f"{order['state_dir']}/monitor.sock"))
        self._talks.append(talk)
        return talk

    def close(self) -> None:
        """End what is left."""
        for talk in self._talks:
            talk.end()
        for monitor in self._monitors:
            monitor.kill()
            monitor.wait()


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system with busybox in it."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("needs busybox-static")
    root = tmp_path_factory.mktemp("rootfs")
    for name in ("bin", "proc", "dev", "tmp", "etc", "sys"):
        (root / name).mkdir()
    shutil.copy(busybox, root / "bin/busybox")
    for applet in subprocess.run(
        [busybox, "--list"], capture_output=True, text=True, check=True
    ).stdout.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    return root


@pytest.fixture(scope="session")
def engine_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the engine of all tests keeps its things."""
    return tmp_path_factory.mktemp("engine")


@pytest.fixture(scope="session")
def launcher(engine_directory: Path) -> Iterator[Launcher]:
    """A zygote for all tests."""
    directory = engine_directory
    usual = House("ahead", directory, directory, None).order("")["config"]
    launcher = Launcher(str(directory / "exec"), str(directory / "state"), usual=usual)
    launcher.open()
    yield launcher
    launcher.close()
    for group in glob.glob(f"/sys/fs/cgroup/*/{GROUP}"):
        os.rmdir(group)


@pytest.fixture(scope="session")
def kernel_for_machines(engine_directory: Path, request: pytest.FixtureRequest) -> None:
    """What machines boot, where monitors look for it; the kernel is kept from run to run."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if missing := [name for name in VM_PARTS if shutil.which(name, path=path) is None]:
        pytest.skip(f"machines need {', '.join(missing)}")
    kept = request.config.cache.mkdir("lodge-kernel") / "kernel"
    kernel, modules = guest_kernel.find(kept) if kept.exists() else guest_kernel.fetch(kept, str)
    state = engine_directory / "state"
    (state / "cache/seccomp").mkdir(parents=True, exist_ok=True)
    base.make(str(state / "vm"), str(kernel), str(modules))


# An init that was born ahead serves "ahead"; what the others want it can't be.
@pytest.fixture(params=["plain", "process", "ahead", "crun", "runc", VM_WING])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """Containers of each kind."""
    kind = request.param
    if kind == "plain":
        house = House(kind, tmp_path, None, None)
    else:
        if os.geteuid() != 0:
            pytest.skip("needs root")
        if kind in EXTERNAL and not os.path.exists(EXTERNAL[kind]):
            pytest.skip(f"{kind} is not installed")
        if kind == VM_WING:
            request.getfixturevalue("kernel_for_machines")
        house = House(kind, tmp_path, request.getfixturevalue("rootfs"), request.getfixturevalue("launcher"))
    yield house
    house.close()
