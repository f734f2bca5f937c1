"""What a user does with a container, done with one in a machine."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import tarfile
from pathlib import Path
from typing import Any

import pytest

from lodge.engine.models import AttachQuery
from lodge.errors import Conflict, Unsupported
from tests.privileged.engine.conftest import Client, Scene
from tests.vm.conftest import Street

HOUSE: dict[str, Any] = {"isolation": "vm"}


def test_a_program_runs_under_its_own_kernel_and_its_code_comes_back(street: Street) -> None:
    async def act(scene: Scene) -> None:
        code, output = await scene.run("sh", "-c", "uname -r; id -u; echo oops >&2; exit 3", **HOUSE)
        assert code == 3
        assert output.splitlines() == [await scene.engine.machines.kernel(), "0", "oops"]
        assert output.splitlines()[0] != os.uname().release

    street.play(act)


def test_copies_differ_in_randomness_name_and_clock(street: Street) -> None:
    async def act(scene: Scene) -> None:
        script = "head -c 16 /dev/urandom | md5sum; hostname; date +%s; cat /proc/sys/kernel/random/uuid"
        outputs = [(await scene.run("sh", "-c", script, **HOUSE))[1].splitlines() for _ in range(2)]
        assert len({lines[0] for lines in outputs}) == 2
        assert len({lines[1] for lines in outputs}) == 2
        assert len({lines[3] for lines in outputs}) == 2
        now = asyncio.get_running_loop().time()
        assert now > 0
        import time

        assert all(abs(int(lines[2]) - time.time()) < 60 for lines in outputs)

    street.play(act)


def test_many_execs_at_once_with_users_and_failures(street: Street) -> None:
    async def act(scene: Scene) -> None:
        box = await scene.started("sleep", "1000", **HOUSE)
        results = await asyncio.gather(
            *(scene.exec(box, "sh", "-c", f"echo {n}; exit {n}") for n in range(4))
        )
        assert results == [(n, f"{n}\n") for n in range(4)]
        assert (await scene.exec(box, "id", "-u", user="65534"))[1] == "65534\n"
        code, output = await scene.exec(box, "nonexistent")
        assert (code, "executable file not found" in output) == (127, True)
        assert (await scene.exec(box, "true"))[0] == 0

    street.play(act)


def test_files_are_seen_from_outside_while_it_runs_and_after(street: Street) -> None:
    async def act(scene: Scene) -> None:
        box = await scene.started("sh", "-c", "echo inside > /made; rm -r /home; sleep 1000", **HOUSE)
        await asyncio.sleep(1)
        changes = {(change.kind, change.path) for change in await scene.containers.changes(box)}
        assert {(1, "/made"), (2, "/home")} <= changes
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            info = tarfile.TarInfo("given")
            info.size = 5
            archive.addfile(info, io.BytesIO(b"given"))
        assert (await scene.exec(box, "cat", "/root/given"))[0] == 1
        packed.seek(0)
        await scene.containers.put_archive(
            box, "/root", packed, no_overwrite_dir_non_dir=False, copy_uid_gid=False
        )
        assert await scene.exec(box, "cat", "/root/given", "/made") == (0, "giveninside\n")
        await scene.containers.kill(box, "KILL")
        assert {(1, "/made"), (1, "/root/given")} <= {
            (change.kind, change.path) for change in await scene.containers.changes(box)
        }

    street.play(act)


def test_volumes_and_binds_are_shared_and_read_only_ones_are_not_written(
    street: Street, tmp_path: Path
) -> None:
    (tmp_path / "from-host").write_text("host\n")

    async def act(scene: Scene) -> None:
        script = "cat /b/from-host; echo guest > /b/from-guest; ln -s x /b/l; touch /ro/no; echo $?"
        binds = [f"{tmp_path}:/b", f"{tmp_path}:/ro:ro", f"{tmp_path}/from-host:/one:ro"]
        code, output = await scene.run("sh", "-c", f"{script}; cat /one", **HOUSE, binds=binds)
        assert code == 0
        assert output.splitlines()[0] == "host"
        assert output.splitlines()[-2:] == ["1", "host"]

    street.play(act)
    assert (tmp_path / "from-guest").read_text() == "guest\n"
    assert os.readlink(tmp_path / "l") == "x"


def test_a_terminal_pause_stop_signals_figures_and_processes(street: Street) -> None:
    async def act(scene: Scene) -> None:
        code, output = await scene.run(
            "sh", "-c", "test -t 0 && tty", config={"tty": True, "open_stdin": True}, **HOUSE
        )
        assert (code, output.strip()) == (0, "/dev/pts/0")
        box = await scene.started(
            "sh", "-c", "trap 'exit 7' TERM; echo ready; while sleep 0.1; do :; done", **HOUSE
        )
        for _ in range(100):
            if await scene.log(box, stdout=True):
                break
            await asyncio.sleep(0.1)
        table = await scene.containers.top(box, "")
        assert any("trap" in row[-1] for row in table.processes)
        figures = [stats async for stats in await scene.containers.stats(box, stream=False, one_shot=True)]
        assert figures[0].current["memory_stats"]["usage"] > 0
        await scene.containers.pause(box)
        with pytest.raises(Conflict):
            await scene.exec(box, "true")
        await scene.containers.unpause(box)
        await scene.containers.stop(box, signal=None, timeout=20)
        assert (await scene.containers.get(box)).state.exit_code == 7

    street.play(act)


def test_limits_hold_inside(street: Street) -> None:
    async def act(scene: Scene) -> None:
        script = "cat /sys/fs/cgroup/memory.max; cat /sys/fs/cgroup/pids.max; nproc"
        code, output = await scene.run("sh", "-c", script, **HOUSE, memory=200 << 20, pids_limit=50)
        assert (code, output.splitlines()) == (0, [str(200 << 20), "50", "1"])
        code, _ = await scene.run(
            "sh", "-c", "head -c 100000000 /dev/zero | tail -c 100000000 >/dev/null", **HOUSE, memory=40 << 20
        )
        assert code == 137

    street.play(act)


def test_what_means_nothing_in_a_machine_is_refused_with_a_reason(street: Street) -> None:
    async def act(scene: Scene) -> None:
        for options in (
            {"pid_mode": "host"},
            {"ipc_mode": "host"},
            {"network_mode": "host"},
            {"uts_mode": "host"},
        ):
            with pytest.raises(Unsupported, match="kernel of its own"):
                await scene.create("true", **HOUSE, **options)

    street.play(act)


def test_a_killed_hypervisor_ends_the_container_as_a_kill(street: Street) -> None:
    async def act(scene: Scene) -> None:
        box = await scene.started("sleep", "1000", **HOUSE)
        end = await scene.containers.wait(box, "not-running")
        os.kill((await scene.containers.get(box)).state.pid, signal.SIGKILL)
        assert (await asyncio.wait_for(asyncio.ensure_future(end), 20)).exit_code == 137
        await scene.containers.start(box)
        assert (await scene.exec(box, "true"))[0] == 0

    street.play(act)


def test_machines_outlive_the_engine(street: Street) -> None:
    async def whole() -> None:
        async with street.engine() as scene:
            box = await scene.started("sh", "-c", "while sleep 0.2; do echo tick; done", **HOUSE)
        async with street.engine() as scene:
            try:
                assert (await scene.containers.get(box)).state.status == "running"
                assert await scene.exec(box, "echo", "still here") == (0, "still here\n")
            finally:
                await scene.clear()

    asyncio.run(whole())


def test_it_is_found_by_name_and_published_port_as_a_container(street: Street) -> None:
    async def act(scene: Scene) -> None:
        code, output = await scene.run(
            "sh", "-c", "ip -4 addr show eth0; ip route", **HOUSE, network_mode="bridge"
        )
        assert code == 0
        assert "inet " in output
        assert "default via" in output

    street.play(act)


def test_input_reaches_the_program_and_its_end_too(street: Street) -> None:
    async def act(scene: Scene) -> None:
        box = await scene.create("wc", "-c", config={"open_stdin": True, "stdin_once": True}, **HOUSE)
        client = Client(b"x" * 1_000_000)
        query = AttachQuery(stdin=True, stdout=True, stderr=True, stream=True)
        (await scene.containers.attach(box, query, framed=False))(client)
        await scene.containers.start(box)
        assert (await client.output()).strip() == b"1000000"

    street.play(act)
