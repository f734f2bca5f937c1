"""Guests that go wild harm nobody, and what became of them is told."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from tests.privileged.engine.conftest import Scene
from tests.vm.conftest import Street

HOUSE: dict[str, Any] = {"isolation": "vm"}


def test_the_processes_of_a_machine_are_locked_up(street: Street) -> None:
    async def act(scene: Scene) -> None:
        box = await scene.started("sleep", "1000", **HOUSE)
        hypervisor = (await scene.containers.get(box)).state.pid
        status = _status(hypervisor)
        assert int(status["CapEff"], 16) == 0
        assert int(status["CapBnd"], 16) == 0
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert int(status["Uid"].split()[0]) >= 0x50000000
        assert set(os.listdir(f"/proc/{hypervisor}/root")) <= {
            "base", "bin", "dev", "etc", "lib", "lib64", "opt", "proc", "usr",
        }  # fmt: skip
        monitor = status["PPid"]
        names = {}
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            found = _status(int(pid))
            if found.get("PPid") == monitor:
                names[found["Name"]] = found
        porter, files = names["lodge-porter"], names["lodge-files"]
        assert int(porter["CapEff"], 16) == 0
        assert porter["Seccomp"] == files["Seccomp"] == "2"
        # Rights over files only: no network, no tracing, no modules.
        assert int(files["CapBnd"], 16) & (1 << 12 | 1 << 16 | 1 << 19) == 0

    street.play(act)


def _status(pid: int) -> dict[str, str]:
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}
    except OSError:
        return {}


def test_a_kernel_panic_is_the_end_of_that_machine_only(street: Street) -> None:
    async def act(scene: Scene) -> None:
        other = await scene.started("sleep", "1000", **HOUSE)
        options = {"privileged": True, "masked_paths": [], "readonly_paths": []}
        box = await scene.started("sh", "-c", "echo c > /proc/sysrq-trigger; sleep 20", **HOUSE, **options)
        await scene.containers.wait(box, "not-running")
        for _ in range(100):
            state = (await scene.containers.get(box)).state
            if state.status == "exited":
                break
            await asyncio.sleep(0.1)
        assert state.exit_code == 137
        assert "the machine died" in state.error
        assert "panic" in state.error
        assert (await scene.exec(other, "true"))[0] == 0

    street.play(act)


def test_a_fork_bomb_stays_inside(street: Street) -> None:
    async def act(scene: Scene) -> None:
        bomb = "b() { b | b & }; b; sleep 3; echo alive"
        box = await scene.started("sh", "-c", bomb, **HOUSE, pids_limit=64)
        await asyncio.sleep(3)
        await scene.containers.kill(box, "KILL")
        assert (await scene.containers.get(box)).state.status in ("exited", "running")

    street.play(act)


def test_endless_output_does_not_fill_the_host(street: Street) -> None:
    async def act(scene: Scene) -> None:
        log: dict[str, Any] = {"log_config": _small_log()}
        box = await scene.started("sh", "-c", "yes", **HOUSE, **log)
        await asyncio.sleep(2)
        await scene.containers.kill(box, "KILL")

    street.play(act)


def _small_log() -> Any:
    from lodge.spec.container import LogConfig

    return LogConfig(type="json-file", config={"max-size": "100k", "max-file": "1"})
