"""Containers in networks: starts, ends, connections, changes; on hands that make nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lodge.engine.models import AddressRange, Container, Network, NetworkChange
from lodge.engine.networks import changing
from lodge.errors import Conflict, Forbidden, InvalidArgument, NotFound
from lodge.spec.container import EndpointIpam, EndpointSettings, PortBinding
from tests.unit.engine.hands import Nets, Play


async def make(nets: Nets, *names: str, **given: Any) -> None:
    for number, name in enumerate(names):
        asked = [AddressRange(subnet=f"10.{number + 1}.0.0/24")]
        await nets.networks.create(Network(id="", name=name, created_at=0, asked=asked, **given))


def text(path: str) -> str:
    return Path(path).read_text()


def test_a_start_on_the_default_bridge(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        box = nets.container("box", port_bindings={"80/tcp": [PortBinding(host_port="8080")]})
        sandbox = await nets.start(box)
        place = box.networks["bridge"]
        assert (place.ip_address, place.ip_prefix_len, place.gateway) == ("172.17.0.2", 16, "172.17.0.1")
        assert place.dns_names is None
        assert sandbox.endpoints[0].gateway4 == "172.17.0.1"
        assert not sandbox.resolver.embedded
        assert [(p.container_port, p.host_port) for p in sandbox.ports] == [(80, 8080)]
        assert [one.host_ip for one in box.ports["80/tcp"]] == ["0.0.0.0", "::"]
        assert box.interfaces == {place.endpoint_id: "eth0"}
        assert box.sandbox_id
        assert nets.events() == ["connect bridge"]
        await nets.end(box)
        assert (place.ip_address, place.mac_address, place.endpoint_id, place.gateway) == ("", "", "", "")
        assert place.network_id
        assert (box.ports, box.interfaces, box.sandbox_id) == ({}, {}, "")
        assert nets.events()[-1] == "disconnect bridge"
        assert nets.hands.names() == ["open", "furnish", "started", "release"]

    play(scene)


@pytest.mark.parametrize("mode", ["none", "host"])
def test_no_network_costs_nothing(play: Play, mode: str) -> None:
    async def scene(nets: Nets) -> None:
        box = nets.container("box", mode)
        box.state.status, box.state.pid = "running", 7
        nets.attachments.started(box, 7)
        nets.attachments.announce_start(box)
        assert box.networks[mode].endpoint_id
        assert nets.events() == [f"connect {mode}"]
        await nets.end(box)
        assert not nets.wiring.begun
        assert nets.hands.asked == []

    play(scene)


def test_two_networks_names_and_the_way_out(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        await make(nets, "back", "front")
        box = nets.container(
            "box",
            "back",
            "front",
            endpoints={
                "back": EndpointSettings(aliases=["db"]),
                "front": EndpointSettings(gw_priority=5),
            },
            config={"hostname": "www"},
        )
        sandbox = await nets.start(box)
        first, second = sandbox.endpoints
        assert (first.ipv4, first.gateway4) == ("10.2.0.2/24", "10.2.0.1")
        assert (second.ipv4, second.gateway4) == ("10.1.0.2/24", "")
        assert second.names == ("box", "db", box.id[:12], "www")
        assert sandbox.resolver.embedded
        members = await nets.networks.members("back")
        assert [(one.name, one.ipv4) for one in members] == [("box", "10.1.0.2/24")]

    play(scene)


def test_internal_networks_have_no_way_out_and_ask_nobody(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        await make(nets, "inner", internal=True)
        sandbox = await nets.start(nets.container("box", "inner"))
        assert sandbox.endpoints[0].gateway4 == ""
        assert sandbox.resolver.embedded
        assert sandbox.resolver.upstreams == ()

    play(scene)


def test_addresses_come_back_when_a_start_fails(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        await make(nets, "one")
        box = nets.container("box", "one", port_bindings={"80/tcp": [PortBinding(host_port="8080")]})
        nets.hands.busy = {8080}
        with pytest.raises(Conflict) as caught:
            await nets.start(box)
        assert caught.value.message.startswith(
            "driver failed programming external connectivity on endpoint box ("
        )
        assert caught.value.message.endswith("Bind for 0.0.0.0:8080 failed: port is already allocated")
        nets.attachments.ended(box)
        assert box.networks["one"].ip_address == ""
        assert nets.events() == ["create one"]
        await nets.networks.remove("one")

    play(scene)


def test_static_addresses(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        await make(nets, "one")
        wish = EndpointSettings(
            ipam_config=EndpointIpam(ipv4_address="10.1.0.77"), mac_address="02:00:00:00:00:07"
        )
        box = nets.container("box", "one", endpoints={"one": wish})
        await nets.start(box)
        place = box.networks["one"]
        assert (place.ip_address, place.mac_address) == ("10.1.0.77", "02:00:00:00:00:07")
        same = EndpointSettings(ipam_config=wish.ipam_config)
        other = nets.container("other", "one", endpoints={"one": same})
        with pytest.raises(Forbidden, match="Address already in use"):
            await nets.attachments.settle(other)
        await nets.end(box)
        await nets.start(other)
        assert other.networks["one"].ip_address == "10.1.0.77"

    play(scene)


def test_a_network_that_is_gone(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        await make(nets, "one")
        box = nets.container("box", "one")
        await nets.start(box)
        await nets.end(box)
        gone = await nets.networks.get("one")
        await nets.networks.remove("one")
        with pytest.raises(NotFound, match=f"network {gone.id} not found"):
            await nets.attachments.settle(box)
        stranger = nets.container("stranger", "nowhere")
        with pytest.raises(NotFound, match="network nowhere not found"):
            await nets.attachments.settle(stranger)

    play(scene)


def test_connect_and_disconnect_while_it_runs(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        await make(nets, "one", "two")
        box = nets.container("box", "one")
        await nets.start(box)
        asked = EndpointSettings(aliases=["x"], ipam_config=EndpointIpam(ipv4_address="10.2.0.9"))
        await nets.networks.connect("two", "box", asked)
        name, _, endpoint, sandbox = nets.hands.asked[-1]
        assert (name, endpoint.ipv4, endpoint.names[:2]) == ("connect", "10.2.0.9/24", ("box", "x"))
        assert len(sandbox.endpoints) == 2
        assert box.interfaces[box.networks["two"].endpoint_id] == "eth1"
        assert "10.2.0.9" in text(box.hosts_path)
        with pytest.raises(Forbidden, match="endpoint with name box already exists in network two"):
            await nets.networks.connect("two", "box", EndpointSettings())
        await nets.networks.disconnect("two", "box", force=False)
        assert nets.hands.asked[-1][0] == "disconnect"
        assert list(box.networks) == ["one"]
        assert "10.2.0.9" not in text(box.hosts_path)
        assert nets.events()[-2:] == ["connect two", "disconnect two"]
        with pytest.raises(Forbidden, match=f"container {box.id} is not connected to network two"):
            await nets.networks.disconnect("two", "box", force=False)

    play(scene)


def test_the_name_server_comes_with_the_first_network_that_has_one(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        await make(nets, "one")
        box = nets.container("box")
        await nets.start(box)
        await nets.networks.connect("one", "box", EndpointSettings())
        assert "nameserver 127.0.0.11\n" in text(box.resolv_conf_path)
        await nets.networks.disconnect("one", "box", force=False)
        assert "127.0.0.11" not in text(box.resolv_conf_path)

    play(scene)


def test_connect_for_the_next_start(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        await make(nets, "one", "two")
        box = nets.container("box", "one")
        asked = EndpointSettings(ipam_config=EndpointIpam(ipv4_address="10.2.0.9"))
        await nets.networks.connect("two", "box", asked)
        assert box.networks["two"].ip_address == ""
        sandbox = await nets.start(box)
        assert {one.ipv4 for one in sandbox.endpoints} == {"10.1.0.2/24", "10.2.0.9/24"}
        await nets.end(box)
        await nets.networks.disconnect("one", "box", force=False)
        assert list(box.networks) == ["two"]

    play(scene)


def test_ports_come_back_with_the_first_network(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        await make(nets, "one")
        box = nets.container("box", "one", port_bindings={"80/tcp": [PortBinding(host_port="8080")]})
        await nets.start(box)
        await nets.networks.disconnect("one", "box", force=False)
        assert (box.ports, box.interfaces) == ({}, {})
        await nets.networks.connect("one", "box", EndpointSettings())
        assert nets.hands.names()[-2:] == ["connect", "change"]
        assert ports_of(box) == {"80/tcp": ["8080", "8080"]}

    play(scene)


def test_a_running_container_without_a_network_gets_its_first(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        await make(nets, "one")
        box = nets.container("box", "none")
        box.state.status, box.state.pid = "running", 9
        nets.attachments.started(box, 9)
        with pytest.raises(Forbidden, match="one of the networks in private \\(none\\) mode"):
            await nets.networks.connect("one", "box", EndpointSettings())
        await nets.networks.disconnect("none", "box", force=False)
        await nets.networks.connect("one", "box", EndpointSettings())
        assert nets.hands.asked[-1][0] == "furnish"
        assert box.networks["one"].ip_address == "10.1.0.2"

    play(scene)


@pytest.mark.parametrize(
    ("network", "mode", "words"),
    [
        ("host", "bridge", "cannot connect container to host network"),
        ("none", "bridge", "one of the networks in private"),
        ("one", "host", "cannot be connected to any other network"),
    ],
)
def test_connections_that_can_not_be(play: Play, network: str, mode: str, words: str) -> None:
    async def scene(nets: Nets) -> None:
        await make(nets, "one")
        nets.container("box", mode)
        with pytest.raises(Forbidden, match=words):
            await nets.networks.connect(network, "box", EndpointSettings())
        with pytest.raises(NotFound, match="No such container: nobody"):
            await nets.networks.connect("one", "nobody", EndpointSettings())
        with pytest.raises(NotFound, match="network nowhere not found"):
            await nets.networks.disconnect("nowhere", "box", force=True)

    play(scene)


def test_what_the_hands_refuse_to_connect_leaves_nothing(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        await make(nets, "one", "two")
        box = nets.container("box", "one")
        await nets.start(box)

        def refuse(*_: Any) -> str:
            raise Conflict("no more interfaces")

        nets.hands.connect = refuse  # type: ignore[assignment,method-assign]
        with pytest.raises(Conflict, match="no more interfaces"):
            await nets.networks.connect("two", "box", EndpointSettings())
        assert list(box.networks) == ["one"]
        await nets.networks.remove("two")

    play(scene)


def test_rename_tells_the_neighbours(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        await make(nets, "one")
        box = nets.container("box", "one", config={"hostname": "h"})
        await nets.start(box)
        box.name = "fresh"
        await nets.attachments.renamed(box)
        assert box.networks["one"].dns_names == ["fresh", box.id[:12], "h"]
        name, _, sandbox = nets.hands.asked[-1]
        assert (name, sandbox.endpoints[0].names[0]) == ("change", "fresh")

    play(scene)


def test_links_to_what_comes_later(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        await make(nets, "one")
        wish = EndpointSettings(links=["late:db"])
        box = nets.container("box", "one", endpoints={"one": wish})
        sandbox = await nets.start(box)
        assert sandbox.endpoints[0].links == {"db": "late"}
        late = nets.container("late", "one")
        await nets.start(late, pid=8)
        await nets.attachments.close()
        name, whose, sandbox = nets.hands.asked[-1]
        assert (name, whose, sandbox.endpoints[0].links) == ("change", box.id, {"db": late.id})

    play(scene)


def test_links_of_the_default_bridge_follow_the_address(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        db = nets.container("db", config={"hostname": "store"})
        box = nets.container("box")
        box.links = {"base": db.id}
        await nets.start(db, pid=8)
        await nets.start(box)
        await nets.end(db)
        spare = nets.container("spare")
        await nets.start(spare, pid=9)
        await nets.start(db, pid=10)
        assert f"{db.networks['bridge'].ip_address}\tbase store db\n" in text(box.hosts_path)

    play(scene)


def ports_of(box: Container) -> dict[str, list[str]]:
    return {port: [one.host_port for one in places] for port, places in box.ports.items()}


def test_ports_change_while_it_runs(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        box = nets.container(
            "box", port_bindings={"80/tcp": [PortBinding(host_port="8080")], "81/tcp": [PortBinding()]}
        )
        await nets.start(box)
        chosen = ports_of(box)["81/tcp"]

        async def change(**bindings: str) -> None:
            wanted = {f"{port[1:]}/tcp": [PortBinding(host_port=text)] for port, text in bindings.items()}
            await changing.change(nets.parts, nets.attachments, box, NetworkChange(port_bindings={**wanted}))

        await change(p81="", p82="8082")
        assert ports_of(box) == {"81/tcp": chosen, "82/tcp": ["8082", "8082"]}
        asked = nets.hands.asked[-1][2].ports
        assert {(one.container_port, str(one.host_port)) for one in asked} == {
            (81, chosen[0]),
            (82, "8082"),
        }
        nets.hands.busy = {9000}
        before = box.wish
        with pytest.raises(Conflict, match="port is already allocated"):
            await change(p90="9000")
        assert box.wish is before
        with pytest.raises(Conflict, match=r"Bind for 0\.0\.0\.0:8082 failed: port is already allocated"):
            await change(p82="8082", p83="8082")
        with pytest.raises(InvalidArgument, match="invalid port specification"):
            await changing.change(
                nets.parts, nets.attachments, box, NetworkChange(port_bindings={"x": [PortBinding()]})
            )

    play(scene)


def test_bandwidth_changes_while_it_runs(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        box = nets.container("box", annotations={"io.lodge.egress": "1mbit"})
        sandbox = await nets.start(box)
        assert (sandbox.bandwidth.egress, sandbox.bandwidth.ingress) == (10**6, 0)

        async def change(**rates: str) -> None:
            asked = NetworkChange(annotations={f"io.lodge.{name}": text for name, text in rates.items()})
            await changing.change(nets.parts, nets.attachments, box, asked)

        await change(egress="", ingress="2.5gbit")
        changed = nets.hands.asked[-1][2].bandwidth
        assert (changed.egress, changed.ingress) == (0, 2_500_000_000)
        with pytest.raises(InvalidArgument, match="invalid rate: much"):
            await change(egress="much")
        with pytest.raises(InvalidArgument, match=r"the annotation io\.lodge\.colour can't be changed"):
            await change(colour="red")

    play(scene)


def test_an_engine_that_comes_up_again_tells_who_lives(tmp_path: Path) -> None:
    async def scene() -> None:
        first = Nets(tmp_path)
        await make(first, "one")
        box = first.container("box", "one", port_bindings={"80/tcp": [PortBinding(host_port="8080")]})
        await first.start(box)
        first.close()

        second = Nets(tmp_path)
        again = second.container("box", "one")
        again.networks, again.ports, again.sandbox_id = box.networks, box.ports, box.sandbox_id
        again.state.status, again.state.pid = "running", 7
        await second.wiring.resume()
        assert second.hands.asked[0][2] == [box.id]
        other = second.container("other", "one")
        sandbox = await second.start(other)
        assert sandbox.endpoints[0].ipv4 == "10.1.0.3/24"
        second.close()

        third = Nets(tmp_path)
        await third.wiring.resume()
        assert third.hands.asked[0][2] == []
        await third.wiring.close()
        assert sorted(third.hands.names()) == ["close", "open", "remove", "remove"]
        third.close()

        fourth = Nets(tmp_path)
        await fourth.wiring.resume()
        assert fourth.hands.asked == []
        fourth.close()

    asyncio.run(scene())


def test_calls_of_the_hands_for_one_container_follow_each_other(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        import time

        box = nets.container("box")
        running: list[str] = []
        order: list[str] = []

        def slow(word: str) -> None:
            assert not running
            running.append(word)
            time.sleep(0.01)
            running.remove(word)
            order.append(word)

        calls = [nets.attachments.in_turn(box.id, slow, word) for word in ("a", "b", "c")]
        await asyncio.gather(*calls)
        assert order == ["a", "b", "c"]

    play(scene)


def test_stats_of_interfaces(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        from lodge.engine.containers.figures import _traffic

        box = nets.container("box")
        await nets.start(box, pid=42)
        assert (await _traffic(nets.parts, box))["eth0"]["rx_bytes"] == 42

    play(scene)
