"""The engine is killed and comes again: containers lived on, ended meanwhile, or died with their monitors."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from lodge.engine.library.blocking import Engine as Library
from lodge.errors import Conflict
from lodge.spec.container import RestartPolicy
from tests.privileged.engine.conftest import Scene, Stage

_PROGRAM = """
import asyncio, sys
sys.path.insert(0, {source!r})
import msgspec
from lodge.engine.engine import Engine
from lodge.engine.settings import Settings
from lodge.spec.container import *

async def main():
    import lodge.engine.settings
    engine = Engine(msgspec.json.decode({settings!r}, type=lodge.engine.settings.Settings))
    await engine.open()
    for name, command, policy in {wanted!r}:
        host = HostConfig(network_mode="none", restart_policy=RestartPolicy(name=policy))
        wish = Wish(config=ContainerConfig(image="busybox", cmd=["sh", "-c", command]), host=host)
        await engine.containers.create(name, wish, None)
        await engine.containers.start(name)
    print("ready", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


def children() -> list[int]:
    """The processes that this one has started, from whatever thread."""
    return [
        int(pid) for each in Path("/proc/self/task").glob("*/children") for pid in each.read_text().split()
    ]


def killed_engine(stage: Stage, wanted: list[tuple[str, str, str]]) -> None:
    """An engine in a process of its own starts these, and is killed."""
    source = str(Path(__file__).parents[3] / "src")
    settings = msgspec.json.encode(stage.settings).decode()
    program = _PROGRAM.format(source=source, settings=settings, wanted=wanted)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_who_lives_is_met_again_and_who_ended_is_known(stage: Stage) -> None:
    killed_engine(
        stage,
        [
            ("alive", "echo before; sleep 1000", "no"),
            ("ended", "sleep 0.2; echo last words; exit 7", "no"),
            ("again", "sleep 0.2; exit 1", "always"),
        ],
    )
    time.sleep(0.6)

    async def scene(on: Scene) -> None:
        alive = await on.containers.get("alive")
        assert alive.state.status == "running"
        assert await on.exec("alive", "sh", "-c", "echo hi; exit 2") == (2, "hi\n")
        assert b"before" in await on.log("alive")
        ended = await on.containers.get("ended")
        assert (ended.state.status, ended.state.exit_code) == ("exited", 7)
        assert b"last words" in await on.log("ended")
        again = await on.containers.get("again")
        assert again.state.status in ("running", "restarting")
        assert again.restart_count >= 1
        end = await on.containers.wait("alive", "next-exit")
        await on.containers.kill("alive", "KILL")
        assert (await asyncio.wait_for(asyncio.ensure_future(end), 5)).exit_code == 137

    stage.play(scene)


def test_a_monitor_that_died_too_is_cleaned_up_after(stage: Stage) -> None:
    killed_engine(stage, [("lost", "sleep 1000", "no")])
    (state_dir,) = Path(stage.settings.exec_root, "containers").iterdir()
    record = msgspec.json.decode((state_dir / "monitor.json").read_bytes())
    os.kill(record["monitor"]["pid"], signal.SIGKILL)

    async def scene(on: Scene) -> None:
        state = (await on.containers.get("lost")).state
        assert (state.status, state.exit_code) == ("exited", 137)
        assert state.error == "the container's monitor was killed"
        group = f"{stage.settings.cgroup_parent}/{state_dir.name}"
        assert not any(directory.endswith(group) for directory, _, _ in os.walk("/sys/fs/cgroup"))
        assert not os.path.exists(f"/proc/{record['init']['pid']}/root/bin/busybox")

    stage.play(scene)


def test_files_without_a_row_are_swept_up(stage: Stage) -> None:
    async def debris(on: Scene) -> str:
        box = "f" * 64
        on.engine.parts.store.snapshots.prepare(box, None)
        os.mkdir(on.engine.parts.directory(box))
        return box

    box = stage.play(debris)

    async def scene(on: Scene) -> None:
        assert not on.engine.parts.store.snapshots.exists(box)
        assert not os.path.exists(on.engine.parts.directory(box))

    stage.play(scene)


def test_a_root_has_one_owner(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        with pytest.raises(Conflict) as caught:
            await asyncio.to_thread(Library(settings=stage.settings).open)
        assert str(os.getpid()) in caught.value.message
        assert caught.value.hint
        assert on.engine.parts.census is not None

    stage.play(scene)


def test_fifty_are_met_again_quickly(stage: Stage) -> None:
    async def start(on: Scene) -> None:
        for number in range(50):
            await on.started("sleep", "1000", name=f"many{number}")

    async def without_clearing() -> None:
        async with stage.engine() as on:
            await start(on)

    asyncio.run(without_clearing())
    begun = time.monotonic()

    async def scene(on: Scene) -> float:
        took = time.monotonic() - begun
        running = await on.containers.list(all=False, limit=0, filters={})
        assert len(running) == 50
        return took

    # The goal is 0.8 s on a quiet machine; this bound only catches what grows too fast.
    assert stage.play(scene) < 5


def test_policies_on_the_way_up(stage: Stage) -> None:
    async def first(on: Scene) -> None:
        for name in ("always", "unless-stopped"):
            await on.started(name=name, restart_policy=RestartPolicy(name=name))
            await on.containers.stop(name, signal=None, timeout=0)

    async def without_clearing() -> None:
        async with stage.engine() as on:
            await first(on)

    asyncio.run(without_clearing())

    async def scene(on: Scene) -> None:
        for _ in range(100):
            if (await on.containers.get("always")).state.status == "running":
                break
            await asyncio.sleep(0.05)
        assert (await on.containers.get("always")).state.status == "running"
        assert (await on.containers.get("unless-stopped")).state.status == "exited"

    stage.play(scene)


def test_a_killed_zygote_is_replaced(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.started()
        pid = (await on.containers.get(box)).state.pid
        (zygote,) = [
            child
            for child in children()
            if Path(f"/proc/{child}/cmdline").read_text().split("\0")[:2]
            == ["lodge-zygote", stage.settings.exec_root]
        ]
        os.kill(zygote, signal.SIGKILL)
        assert await on.run("echo", "still") == (0, "still\n")
        assert (await on.containers.get(box)).state.pid == pid

    stage.play(scene)
