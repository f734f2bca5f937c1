"""Containers through their lives: made, started, stopped, looked at, removed; and nothing is left of them."""

from __future__ import annotations

import asyncio
import os

import pytest

from lodge.engine.models import Event
from lodge.errors import Conflict, InvalidArgument, NotFound, NotModified, StartFailed
from lodge.spec.container import HealthCheck, RestartPolicy
from tests.privileged.engine.conftest import Scene, Stage


def test_a_program_runs_to_its_end_with_its_exit_code(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        assert await on.run("sh", "-c", "echo out; echo err >&2; exit 3") == (3, "out\nerr\n")
        assert await on.run("sh", "-c", "sh -c 'kill -9 $$'; exit $?") == (137, "Killed\n")

    stage.play(scene)


def test_what_a_program_sees(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        script = (
            "hostname; pwd; echo $A $HOME; id -u; ls /proc/self/fd | wc -l; cat /proc/1/cmdline | head -c 2"
        )
        config = {"hostname": "box", "working_dir": "/new/dir", "env": ["A=b"], "user": "1000:1000"}
        code, text = await on.run("sh", "-c", script, config=config)
        assert (code, text.splitlines()[:4]) == (0, ["box", "/new/dir", "b /", "1000"])

    stage.play(scene)


def test_an_end_of_each_kind_has_dockers_words_and_code(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        for command, words, code in (
            ("nosuch", 'exec: "nosuch": executable file not found in $PATH', 127),
            ("/nosuch", "no such file or directory", 127),
            ("/etc/passwd", "permission denied", 126),
            ("/etc", "is a directory", 126),
        ):
            box = await on.create(command)
            with pytest.raises(StartFailed) as caught:
                await on.containers.start(box)
            assert words in caught.value.message
            assert caught.value.exit_code == code
            state = (await on.containers.get(box)).state
            assert (state.status, state.exit_code) == ("created", code)
            await on.containers.remove(box, force=False, volumes=False, link=False)

    stage.play(scene)


def test_an_unknown_user_is_told(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.create("true", config={"user": "nobodyhere"})
        with pytest.raises(StartFailed, match="unable to find user nobodyhere"):
            await on.containers.start(box)

    stage.play(scene)


def test_stop_asks_then_makes(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        polite = await on.started("sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done")
        await asyncio.sleep(0.3)
        await on.containers.stop(polite, signal=None, timeout=10)
        assert (await on.containers.get(polite)).state.exit_code == 5
        stubborn = await on.started("sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")
        await asyncio.sleep(0.3)
        await on.containers.stop(stubborn, signal=None, timeout=0)
        assert (await on.containers.get(stubborn)).state.exit_code == 137
        with pytest.raises(NotModified):
            await on.containers.stop(stubborn, signal=None, timeout=0)

    stage.play(scene)


def test_starting_twice_and_killing_the_dead(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.started(name="twice")
        with pytest.raises(NotModified):
            await on.containers.start(box)
        await on.containers.kill(box, "SIGUSR1")
        await on.containers.kill(box, "KILL")
        with pytest.raises(Conflict, match=f"cannot kill container: twice: container {box} is not running"):
            await on.containers.kill(box, "KILL")
        with pytest.raises(InvalidArgument, match="invalid signal: SIGODD"):
            await on.containers.kill(box, "SIGODD")
        await on.containers.start(box)
        await on.containers.restart(box, signal=None, timeout=0)
        assert (await on.containers.get(box)).state.status == "running"

    stage.play(scene)


def test_pause_and_what_it_forbids(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.started(name="frozen")
        await on.containers.pause(box)
        with pytest.raises(Conflict, match="already paused"):
            await on.containers.pause(box)
        with pytest.raises(Conflict, match="is paused, unpause the container before exec"):
            await on.exec(box, "true")
        await on.containers.unpause(box)
        with pytest.raises(Conflict, match="is not paused"):
            await on.containers.unpause(box)
        await on.containers.pause(box)
        await on.containers.kill(box, "KILL")
        assert (await on.containers.get(box)).state.status == "exited"

    stage.play(scene)


def test_removal_and_what_forbids_it(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.started(name="busy")
        with pytest.raises(Conflict) as caught:
            await on.containers.remove("busy", force=False, volumes=False, link=False)
        assert caught.value.message == (
            'cannot remove container "busy": container is running: stop the container before removing '
            "or force remove"
        )
        removed = await on.containers.wait(box, "removed")
        await on.containers.remove("busy", force=True, volumes=False, link=False)
        assert (await asyncio.wait_for(asyncio.ensure_future(removed), 5)).exit_code == 137
        with pytest.raises(NotFound, match="No such container: busy"):
            await on.containers.get("busy")
        parts = on.engine.parts
        assert not os.path.exists(parts.directory(box))
        assert not os.path.exists(parts.state_directory(box))
        assert not parts.store.snapshots.exists(box)

    stage.play(scene)


def test_a_removal_by_force_wins_over_a_restart_under_way(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        # PID 1 without a handler for SIGTERM: the restart waits for the end of its patience.
        box = await on.create("sleep", "60", name="stubborn")
        await on.containers.start(box)
        restart = asyncio.ensure_future(on.containers.restart(box, signal=None, timeout=30))
        await asyncio.sleep(0.2)
        await on.containers.remove(box, force=True, volumes=False, link=False)
        with pytest.raises(Conflict, match="marked for removal"):
            await restart
        with pytest.raises(NotFound):
            await on.containers.get(box)

    stage.play(scene)


def test_auto_remove_ends_with_nothing_and_a_wait_that_ends(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.create("sh", "-c", "exit 4", auto_remove=True)
        removed = await on.containers.wait(box, "removed")
        await on.containers.start(box)
        assert (await asyncio.wait_for(asyncio.ensure_future(removed), 10)).exit_code == 4
        with pytest.raises(NotFound):
            await on.containers.get(box)
        failing = await on.create("nosuch", auto_remove=True)
        with pytest.raises(StartFailed):
            await on.containers.start(failing)
        for _ in range(100):
            if not len(on.engine.parts.census):
                break
            await asyncio.sleep(0.02)
        assert len(on.engine.parts.census) == 0

    stage.play(scene)


def test_a_restart_policy_tries_as_often_as_it_says(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        policy = RestartPolicy(name="on-failure", maximum_retry_count=2)
        box = await on.create("sh", "-c", "exit 9", restart_policy=policy)
        await on.containers.start(box)
        for _ in range(200):
            container = await on.containers.get(box)
            if container.state.status == "exited":
                break
            await asyncio.sleep(0.02)
        assert (container.state.status, container.state.exit_code, container.restart_count) == (
            "exited",
            9,
            2,
        )
        forever = await on.create("true", restart_policy=RestartPolicy(name="always"))
        await on.containers.start(forever)
        await asyncio.sleep(0.3)
        await on.containers.stop(forever, signal=None, timeout=0)
        assert (await on.containers.get(forever)).state.status == "exited"

    stage.play(scene)


def test_a_killed_monitor_ends_its_container_visibly(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.started(name="orphan")
        state = (await on.containers.get(box)).state
        with open(f"/proc/{state.pid}/stat") as stat:
            monitor = int(stat.read().rpartition(")")[2].split()[1])
        end = await on.containers.wait(box, "next-exit")
        os.kill(monitor, 9)
        result = await asyncio.wait_for(asyncio.ensure_future(end), 10)
        assert result.error == "the container's monitor was killed"
        state = (await on.containers.get(box)).state
        assert (state.status, state.exit_code, state.error) == ("exited", 137, result.error)
        await on.containers.start(box)

    stage.play(scene)


def test_events_come_as_dockers_and_in_its_order(stage: Stage) -> None:
    async def scene(on: Scene) -> list[Event]:
        seen: list[Event] = []
        stream = await on.engine.system.events(since=0, until=0, filters={"type": ["container"]})

        async def listen() -> None:
            async for event in stream:
                seen.append(event)  # noqa: PERF401

        listening = asyncio.ensure_future(listen())
        await on.run("sh", "-c", "exit 2", config={"labels": {"a": "b"}})
        await asyncio.sleep(0.05)
        listening.cancel()
        return seen

    seen = stage.play(scene)
    assert [event.action for event in seen] == ["create", "attach", "start", "die", "destroy"]
    die = seen[3].attributes
    assert (die["exitCode"], die["execDuration"], die["image"], die["a"]) == ("2", "0", "busybox", "b")


def test_health_checks_make_up_their_mind(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        check = HealthCheck(
            test=["CMD-SHELL", "test -e /ok || { echo no; exit 1; }"], interval=50 * 10**6, retries=2
        )
        box = await on.started(config={"healthcheck": check})
        container = await on.containers.get(box)
        for wanted in ("unhealthy", "healthy"):
            for _ in range(200):
                health = container.state.health
                assert health is not None
                if health.status == wanted:
                    break
                await asyncio.sleep(0.02)
            assert health.status == wanted
            await on.exec(box, "touch", "/ok")
        assert any(probe.output == "no\n" for probe in health.log) or health.log[-1].exit_code == 0

    stage.play(scene)


def test_a_name_belongs_to_one(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        first = await on.create("true", name="mine")
        with pytest.raises(Conflict, match='The container name "/mine" is already in use by container'):
            await on.create("true", name="mine")
        await on.containers.rename("mine", "yours")
        second = await on.create("true", name="mine")
        assert {(await on.containers.get(n)).id for n in ("mine", "yours")} == {first, second}
        with pytest.raises(Conflict):
            await on.containers.rename("mine", "yours")

    stage.play(scene)


def test_many_at_once(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        results = await asyncio.gather(*(on.run("sh", "-c", f"exit {n}") for n in range(20)))
        assert [code for code, _ in results] == list(range(20))

    stage.play(scene)


def test_limits_reach_the_kernel_and_change(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.started(memory=64 << 20, pids_limit=20)
        pid = (await on.containers.get(box)).state.pid
        with open(f"/proc/{pid}/cgroup") as groups:
            lines = dict(line.split(":")[1:] for line in groups.read().splitlines())
        path = f"/sys/fs/cgroup/memory{lines.get('memory', '')}/memory.limit_in_bytes"
        with open(path) as file:
            assert int(file.read()) == 64 << 20
        await on.containers.update(box, {"Memory": 128 << 20, "MemorySwap": 256 << 20}, None)
        with open(path) as file:
            assert int(file.read()) == 128 << 20
        with pytest.raises(InvalidArgument, match="Minimum memory limit allowed is 6MB"):
            await on.containers.update(box, {"Memory": 1024}, None)
        async for figures in await on.containers.stats(box, stream=False, one_shot=True):
            assert figures.current["memory_stats"]["limit"] == 128 << 20
            assert figures.current["pids_stats"] == {"current": 1, "limit": 20}

    stage.play(scene)


def test_out_of_memory_is_told(stage: Stage) -> None:
    async def scene(on: Scene) -> None:
        box = await on.create(
            "sh", "-c", "x=a; while :; do x=$x$x; done", memory=8 << 20, memory_swap=8 << 20
        )
        end = await on.containers.wait(box, "next-exit")
        await on.containers.start(box)
        await asyncio.wait_for(asyncio.ensure_future(end), 20)
        state = (await on.containers.get(box)).state
        assert (state.oom_killed, state.exit_code) == (True, 137)

    stage.play(scene)


@pytest.mark.parametrize("runtime", ["installed-crun", "installed-runc"])
def test_installed_runtimes_serve_as_well(stage: Stage, runtime: str) -> None:
    if runtime not in stage.settings.runtimes:
        pytest.skip(f"{runtime} is not here: bench/peers.sh brings it")

    async def scene(on: Scene) -> None:
        script = "id -u; cat /etc/hostname; exit 4"
        config = {"hostname": "box", "user": "1000"}
        assert await on.run("sh", "-c", script, runtime=runtime, config=config) == (4, "1000\nbox\n")
        box = await on.started(runtime=runtime)
        assert await on.exec(box, "sh", "-c", "echo in; exit 5") == (5, "in\n")
        await on.containers.pause(box)
        await on.containers.unpause(box)
        await on.containers.stop(box, signal=None, timeout=0)
        assert (await on.containers.get(box)).state.exit_code == 137

    stage.play(scene)
