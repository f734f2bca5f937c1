"""Networks under the whole engine: user namespaces, other runtimes, sudden deaths, many at once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from lodge.engine.models import AddressRange, Network
from lodge.engine.networks.predefined import default_link
from lodge.errors import StartFailed
from lodge.spec.container import PortBinding, RestartPolicy
from tests.privileged.engine.conftest import Scene, Stage

PORT = 20000 + os.getpid() % 10000


def wanted(name: str, **given: object) -> Network:
    return msgspec.convert({"id": "", "name": name, "created_at": 0, **given}, Network)


@asynccontextmanager
async def network(scene: Scene, name: str, **given: object) -> AsyncIterator[Network]:
    """A network for a while; the scene's containers are removed before it."""
    made = await scene.engine.networks.create(wanted(name, **given))
    try:
        yield made
    finally:
        await scene.clear()
        await scene.engine.networks.remove(made.id)


def links() -> set[str]:
    return set(os.listdir("/sys/class/net"))


def addresses(pid: int) -> str:
    shown = subprocess.run(
        ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "addr"], capture_output=True, text=True, check=True
    )
    return shown.stdout


def test_a_network_of_a_user_namespace_belongs_to_it(stage: Stage) -> None:
    async def scene(it: Scene) -> None:
        async with network(it, "mapped"):
            box = await it.started(network_mode="mapped", cap_add=["NET_ADMIN"])
            code, said = await it.exec(box, "sh", "-c", "ip link set eth0 mtu 1400 && ip addr show eth0")
            assert code == 0, said
            assert "mtu 1400" in said
            place = (await it.containers.get(box)).networks["mapped"]
            assert f"{place.ip_address}/" in said

    settings = stage.settings
    stage.settings = msgspec.structs.replace(settings, userns_remap="default")
    try:
        stage.play(scene)
    finally:
        stage.settings = settings


def test_other_runtimes_get_a_network_that_is_ready(stage: Stage) -> None:
    if "installed-crun" not in stage.settings.runtimes:
        pytest.skip("there is no crun here")

    async def scene(it: Scene) -> None:
        async with network(it, "foreign"):
            box = await it.started(network_mode="foreign", runtime="installed-crun")
            place = (await it.containers.get(box)).networks["foreign"]
            pid = (await it.containers.get(box)).state.pid
            assert f"{place.ip_address}/" in addresses(pid)

    stage.play(scene)


def test_a_killed_monitor_frees_ports_and_addresses(stage: Stage) -> None:
    async def scene(it: Scene) -> None:
        wish = {"port_bindings": {"80/tcp": [PortBinding(host_port=str(PORT))]}, "network_mode": "bridge"}
        box = await it.started(**wish)
        before = (await it.containers.get(box)).networks["bridge"].ip_address
        assert before
        with pytest.raises(StartFailed, match="port is already allocated"):
            await it.started(**wish)
        monitor = subprocess.run(
            ["pgrep", "-f", f"^lodge-monitor {box[:12]}"], capture_output=True, text=True, check=True
        )
        end = await it.containers.wait(box, "not-running")
        os.kill(int(monitor.stdout.split()[0]), signal.SIGKILL)
        await asyncio.wait_for(asyncio.ensure_future(end), 10)
        assert (await it.containers.get(box)).networks["bridge"].ip_address == ""
        await it.started(**wish)

    stage.play(scene)


def test_a_start_that_fails_keeps_nothing(stage: Stage) -> None:
    async def scene(it: Scene) -> None:
        async with network(it, "small", asked=[AddressRange(subnet="10.216.0.0/29")]) as made:
            for _ in range(12):
                with pytest.raises(StartFailed):
                    await it.started("/no/such/program", network_mode="small")
            assert await it.engine.networks.members(made.id) == []
            await it.started(network_mode="small")

    stage.play(scene)


def test_an_exhausted_subnet(stage: Stage) -> None:
    async def scene(it: Scene) -> None:
        async with network(it, "tiny", asked=[AddressRange(subnet="10.216.1.0/30")]):
            await it.started(network_mode="tiny")
            with pytest.raises(StartFailed, match="no available IPv4 addresses"):
                await it.started(network_mode="tiny")

    stage.play(scene)


def test_many_at_once_have_an_address_each(stage: Stage) -> None:
    async def scene(it: Scene) -> None:
        async with network(it, "crowd") as made:
            await asyncio.gather(*(it.started(network_mode="crowd") for _ in range(12)))
            members = await it.engine.networks.members(made.id)
            assert len({one.ipv4 for one in members}) == 12
            assert len({one.mac_address for one in members}) == 12

    stage.play(scene)


def test_a_restart_policy_brings_the_network_back(stage: Stage) -> None:
    async def scene(it: Scene) -> None:
        async with network(it, "again") as made:
            always = RestartPolicy(name="always")
            box = await it.started("sleep", "0.2", network_mode="again", restart_policy=always)
            for _ in range(100):
                container = await it.containers.get(box)
                if container.restart_count >= 2 and container.state.pid:
                    break
                await asyncio.sleep(0.05)
            assert container.restart_count >= 2
            await it.containers.kill(box, "KILL")
            assert await it.engine.networks.members(made.id) == []

    stage.play(scene)


def test_an_engine_leaves_no_links(stage: Stage) -> None:
    ours = {default_link(stage.settings)}

    async def scene(it: Scene) -> None:
        made = await it.engine.networks.create(wanted("stays"))
        ours.add(f"br-{made.id[:12]}")
        await it.started(network_mode="stays")
        await it.started(network_mode="bridge")
        assert ours <= links()

    stage.play(scene)
    assert not links() & ours

    async def again(it: Scene) -> None:
        box = await it.started(network_mode="stays")
        assert (await it.containers.get(box)).networks["stays"].ip_address
        await it.clear()
        await it.engine.networks.remove("stays")

    stage.play(again)
    assert not links() & ours


def test_none_and_host_open_nothing(stage: Stage) -> None:
    async def scene(it: Scene) -> None:
        assert (await it.run("true"))[0] == 0
        assert (await it.run("true", network_mode="host"))[0] == 0
        assert not it.engine.parts.wiring.begun

    stage.play(scene)
