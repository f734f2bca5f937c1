"""Machines: start, cold and as a copy; exec; memory; beside the same QEMU by hand.

The peer is the same hypervisor with the same kernel and first root, started by hand: the time until its agent
speaks is what a boot costs before any of this engine's own work.
"""

import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.engine_client import EngineClient
from bench.frame import Measured, Target, interleave, milliseconds, row
from bench.processes import settle
from bench.subjects import Engine, Subjects
from lodge.cli.comparing.measure import host_memory

HOUSE = {"HostConfig": {"NetworkMode": "none", "Isolation": "vm"}}
COUNT = 8


def _set_up(client: EngineClient) -> None:
    client.drain("POST", "/lodge/vm/setup")
    _run(client)


def _run(client: EngineClient) -> None:
    container = _create(client, ["echo", "hi"])
    client.start(container)
    assert client.wait(container) == 0
    client.remove(container)


def _create(client: EngineClient, command: list[str], memory: int = 0) -> str:
    host = {**HOUSE["HostConfig"], "Memory": memory}
    body = {"Image": "busybox", "Cmd": command, "HostConfig": host}
    made: dict[str, str] = client.call("POST", "/containers/create", body)
    return made["Id"]


def _root(engine: Engine) -> Path:
    found = engine.client().call("GET", "/info")
    return Path(found["DockerRootDir"]) / "vm"


def _boot_by_hand(root: Path) -> None:
    """The same machine without any engine, until its agent says that it is up."""
    tsc = json.loads((root / "base/base.json").read_text())["tsc_khz"]
    agent, agent_of = socket.socketpair()
    files, files_of = socket.socketpair()
    program = shutil.which("qemu-system-x86_64")
    assert program is not None
    line = f"quiet panic=-1 no_timer_check mitigations=off tsc=reliable tsc_early_khz={tsc}"
    words = [program, "-nodefaults", "-no-user-config", "-display", "none", "-m", "512M", "-accel", "tcg"]
    words += ["-M", "microvm,acpi=on,rtc=off,ioapic2=off", "-cpu", "max", "-append", line]
    words += ["-kernel", str(root / "base/kernel"), "-initrd", str(root / "base/initramfs")]
    words += ["-device", "virtio-serial-device,id=s,bus=virtio-mmio-bus.0"]
    for name, sock in (("agent", agent_of), ("files", files_of)):
        words += ["-chardev", f"socket,id={name},fd={sock.fileno()}"]
        words += ["-device", f"virtserialport,bus=s.0,chardev={name},name=lodge.{name}"]
    fds = [agent_of.fileno(), files_of.fileno()]
    machine = subprocess.Popen(words, pass_fds=fds)
    try:
        agent.settimeout(60)
        assert agent.recv(64)
    finally:
        machine.kill()
        machine.wait()
        for sock in (agent, agent_of, files, files_of):
            sock.close()


def _cold(client: EngineClient, root: Path) -> None:
    """A start for which no frozen machine is there, so that one is booted, frozen and copied."""
    for frozen in (root / "frozen").iterdir():
        if frozen.is_dir():
            # SAFETY: frozen machines below the benchmark's own root; they are made again.
            shutil.rmtree(frozen)
    _run(client)


@row("vm-start")
def start(subjects: Subjects) -> list[Measured]:
    """Create, start, output, end and removal of a machine; the boot by hand beside it."""
    engine = subjects.engines()["lodge"]
    client, root = engine.client(), _root(engine)
    _set_up(client)
    actions: dict[str, Callable[[], float]] = {
        "lodge": lambda: milliseconds(_run, client),
        "by hand": lambda: milliseconds(_boot_by_hand, root),
    }
    copies = interleave(actions, subjects.rounds, warm_up=1)
    actions["lodge"] = lambda: milliseconds(_cold, client, root)
    colds = interleave(actions, max(1, subjects.rounds // 3), warm_up=0)
    note = "by hand: the same QEMU, kernel and first root until its agent speaks"
    return [
        Measured(
            "a machine as a copy, from create to removed", "ms", Target(ratio=1 / 3), "by hand", copies, note
        ),
        Measured(
            "the first machine of its kind: boot, freeze, copy",
            "ms",
            Target(ratio=1.4),
            "by hand",
            colds,
            note,
        ),
    ]


@row("vm-exec")
def execute(subjects: Subjects) -> list[Measured]:
    """Exec in a running machine."""
    client = subjects.engines()["lodge"].client()
    _set_up(client)
    container = _create(client, ["sleep", "3600"])
    client.start(container)
    actions: dict[str, Callable[[], float]] = {
        "lodge": lambda: milliseconds(client.execute, container, ["true"])
    }
    samples = interleave(actions, subjects.rounds * 3, warm_up=2)
    client.remove(container, force=True)
    return [Measured("exec of `true` in a running machine", "ms", Target(value=60), "", samples)]


@row("vm-memory")
def memory(subjects: Subjects) -> list[Measured]:
    """Idle machines of 512 MB: what each of eight takes, with its monitor, porter and file server."""
    client = subjects.engines()["lodge"].client()
    _set_up(client)
    containers = [_create(client, ["sleep", "3600"], memory=400 << 20) for _ in range(COUNT)]
    for container in containers:
        client.start(container)
    settle(8)
    pids = [client.call("GET", f"/containers/{each}/json")["State"]["Pid"] for each in containers]
    samples = [(host_memory(pid) or 0) / 1e6 for pid in pids]
    for container in containers:
        client.remove(container, force=True)
    what = f"an idle machine of 512 MB, PSS, each of {COUNT}"
    return [Measured(what, "MB", Target(value=60), "", {"lodge": samples})]
