"""Networks made, found, listed and removed, on hands that make nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lodge.engine.models import AddressRange, Network
from lodge.engine.networks import predefined
from lodge.engine.networks.book import Book
from lodge.errors import Conflict, Forbidden, InvalidArgument, LodgeError, NotFound, Unavailable
from tests.unit.engine.hands import FakeHands, Nets, Play


def wanted(name: str = "mine", **given: Any) -> Network:
    return Network(id="", name=name, created_at=0, **given)


def subnets(*texts: str) -> list[AddressRange]:
    return [AddressRange(subnet=text) for text in texts]


def test_nothing_is_opened_before_a_network_is_needed(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        assert [one.name for one in nets.book] == ["host", "none", "bridge"]
        assert nets.hands.asked == []
        assert await nets.networks.list({"type": ["custom"]}) == []
        assert not nets.wiring.begun
        found = await nets.networks.get("bridge")
        assert found.subnets == [AddressRange(subnet="172.17.0.0/16", gateway="172.17.0.1")]
        assert nets.hands.names() == ["open"]

    play(scene)


def test_the_default_bridge_keeps_away_from_what_the_host_uses(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        found = await nets.networks.get("bridge")
        assert found.subnets[0].subnet == "172.18.0.0/16"
        assert found.link == f"lodge-{predefined.instance(nets.settings)}"

    play(scene, hands=FakeHands(["172.17.0.0/16"]))


def test_the_default_bridge_as_set(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        found = await nets.networks.get("bridge")
        assert found.subnets == [AddressRange(subnet="10.9.0.0/16", range="10.9.4.0/24", gateway="10.9.0.1")]
        assert found.options["com.docker.network.bridge.enable_icc"] == "false"
        assert found.options["com.docker.network.driver.mtu"] == "1400"

    play(scene, bip="10.9.0.1/16", fixed_cidr="10.9.4.0/24", icc=False, mtu=1400)


def test_a_network_is_checked_made_and_told(play: Play, tmp_path: Path) -> None:
    async def scene(nets: Nets) -> None:
        made = await nets.networks.create(
            wanted(asked=subnets("10.1.0.0/24"), options={"com.docker.network.driver.mtu": "1300"})
        )
        assert made.link == f"br-{made.id[:12]}"
        assert made.subnets == [AddressRange(subnet="10.1.0.0/24", gateway="10.1.0.1")]
        assert nets.hands.names() == ["open", "check", "create"]
        assert nets.hands.asked[-1][1].options == {"com.docker.network.driver.mtu": "1300"}
        assert nets.events() == ["create mine"]
        assert Book(nets.rows).find("mine") == made
        assert (await nets.networks.get(made.id[:9])).name == "mine"
        await nets.networks.remove("mine")
        assert nets.hands.asked[-1] == ("remove", "mine")
        assert nets.events()[-1] == "destroy mine"
        again = await nets.networks.create(wanted(asked=subnets("10.1.0.0/24")))
        assert again.id != made.id

    play(scene)


REFUSED: list[tuple[dict[str, Any], type[LodgeError], str]] = [
    ({"name": "host"}, Forbidden, "operation is not permitted on predefined host network"),
    ({"name": ""}, InvalidArgument, "invalid name: name is empty"),
    ({"driver": "magic"}, NotFound, 'plugin "magic" not found'),
    ({"driver": "host"}, Forbidden, 'only one instance of "host" network is allowed'),
    ({"driver": "overlay"}, Unavailable, "This node is not a swarm manager."),
    ({"scope": "swarm"}, Unavailable, "cannot create a swarm scoped network when swarm is not active"),
    ({"ipam_driver": "magic"}, NotFound, 'plugin "magic" not found'),
    ({"ipv4": False}, InvalidArgument, "IPv4 or IPv6 must be enabled"),
    ({"asked": subnets("10.1.0.1/16")}, InvalidArgument, "it should be 10.1.0.0/16"),
    (
        {"asked": subnets("10.1.0.0/16", "10.2.0.0/16")},
        InvalidArgument,
        "bridge driver doesn't support multiple subnets",
    ),
    ({"asked": subnets("172.17.5.0/24")}, Forbidden, "Pool overlaps with other one on this address space"),
    ({"options": {"com.docker.network.driver.mtu": "-4"}}, InvalidArgument, "invalid MTU number: -4"),
    (
        {"options": {"com.docker.network.bridge.enable_icc": "maybe"}},
        InvalidArgument,
        "failed to parse com.docker.network.bridge.enable_icc value: maybe",
    ),
    ({"origin": "nowhere"}, NotFound, 'configuration network "nowhere" does not exist'),
    ({"config_only": True, "internal": True}, Forbidden, "configuration network can only contain"),
    ({"options": {"io.lodge.egress": "much"}}, InvalidArgument, "invalid rate: much"),
    ({"options": {"io.lodge.publish": "x"}}, InvalidArgument, "invalid io.lodge.publish: x"),
]


@pytest.mark.parametrize(("given", "kind", "words"), REFUSED)
def test_refused_in_dockers_words(
    play: Play, given: dict[str, Any], kind: type[LodgeError], words: str
) -> None:
    async def scene(nets: Nets) -> None:
        with pytest.raises(kind) as caught:
            await nets.networks.create(wanted(**{"name": "mine", **given}))
        assert words in caught.value.message
        assert len(list(nets.book)) == 3
        assert nets.events() == []
        if not given.get("name") and "name" not in given:
            # The name is free again.
            await nets.networks.create(wanted())

    play(scene)


def test_a_name_and_a_link_are_there_once(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        name = {"com.docker.network.bridge.name": "br7"}
        await nets.networks.create(wanted(options=name))
        with pytest.raises(Conflict, match="network with name mine already exists"):
            await nets.networks.create(wanted())
        with pytest.raises(Conflict, match="networks have same bridge name"):
            await nets.networks.create(wanted("other", options=name))

    play(scene)


def test_two_of_one_name_at_once(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        results = await asyncio.gather(
            *(nets.networks.create(wanted()) for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(one, Network) for one in results) == 1
        assert all(isinstance(one, Network | Conflict) for one in results)

    play(scene)


def test_what_the_hands_refuse_leaves_nothing(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        def refuse(network: Any) -> None:
            raise InvalidArgument("no such parent")

        nets.hands.check = refuse  # type: ignore[method-assign]
        with pytest.raises(InvalidArgument, match="no such parent"):
            await nets.networks.create(wanted(asked=subnets("10.1.0.0/24")))
        del nets.hands.check
        await nets.networks.create(wanted(asked=subnets("10.1.0.0/24")))

    play(scene)


def test_settings_of_another_network(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        await nets.networks.create(
            wanted("origin", config_only=True, asked=subnets("10.7.0.0/24"), labels={"a": "b"})
        )
        made = await nets.networks.create(wanted(origin="origin"))
        assert (made.subnets[0].subnet, made.labels) == ("10.7.0.0/24", {"a": "b"})
        with pytest.raises(Forbidden, match='configuration network "origin" is in use'):
            await nets.networks.remove("origin")
        with pytest.raises(Forbidden, match="user specified configurations are not supported"):
            await nets.networks.create(wanted("third", origin="origin", options={"a": "b"}))

    play(scene)


def test_default_options_of_a_driver(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        made = await nets.networks.create(wanted(options={"b": "mine"}))
        assert made.options == {"a": "1", "b": "mine"}

    play(scene, options={"bridge": {"a": "1", "b": "2"}})


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["host", "none", "bridge", "red", "blue"]),
        ({"driver": ["bridge"]}, ["bridge", "red", "blue"]),
        ({"name": ["re"]}, ["red"]),
        ({"label": ["colour"]}, ["red", "blue"]),
        ({"label": ["colour=red"]}, ["red"]),
        ({"type": ["builtin"]}, ["host", "none", "bridge"]),
        ({"type": ["custom"], "driver": ["bridge"]}, ["red", "blue"]),
        ({"scope": ["swarm"]}, []),
        ({"dangling": ["true"]}, ["red", "blue"]),
        ({"dangling": ["false"]}, ["host", "none", "bridge"]),
    ],
)
def test_lists(play: Play, filters: dict[str, list[str]], names: list[str]) -> None:
    async def scene(nets: Nets) -> None:
        for name in ("red", "blue"):
            await nets.networks.create(wanted(name, labels={"colour": name}))
        assert [one.name for one in await nets.networks.list(filters)] == names

    play(scene)


def test_filters_that_are_none(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        with pytest.raises(InvalidArgument, match="invalid filter 'x'"):
            await nets.networks.list({"x": ["y"]})
        with pytest.raises(InvalidArgument, match="invalid filter: 'type'='y'"):
            await nets.networks.list({"type": ["y"]})

    play(scene)


def test_predefined_networks_stay(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        with pytest.raises(Forbidden, match="bridge is a pre-defined network and cannot be removed"):
            await nets.networks.remove("bridge")
        with pytest.raises(NotFound, match="network nope not found"):
            await nets.networks.remove("nope")

    play(scene)


def test_prune_takes_what_nobody_is_in(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        for name in ("used", "kept", "gone"):
            await nets.networks.create(wanted(name, labels={"keep": "yes"} if name == "kept" else {}))
        await nets.start(nets.container("box", "used"))
        pruned = await nets.networks.prune({"label!": ["keep"]})
        assert pruned.deleted == ["gone"]
        with pytest.raises(Forbidden, match='network used has active endpoints \\(name:"box" id:"'):
            await nets.networks.remove("used")
        assert (await nets.networks.prune({"until": ["1h"]})).deleted == []

    play(scene)


def test_no_default_bridge(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        assert [one.name for one in nets.book] == ["host", "none"]

    play(scene, bridge="none")


def test_a_bridge_that_others_overlap_meanwhile_moves(tmp_path: Path) -> None:
    async def first() -> None:
        nets = Nets(tmp_path)
        await nets.networks.get("bridge")
        await nets.wiring.close()
        assert nets.hands.names() == ["open", "remove", "close"]
        nets.close()

    async def second() -> None:
        nets = Nets(tmp_path, FakeHands(["172.17.0.0/20"]))
        await nets.wiring.ready()
        found = await nets.networks.get("bridge")
        assert found.subnets[0].subnet == "172.18.0.0/16"
        nets.close()

    asyncio.run(first())
    asyncio.run(second())


def test_a_failed_opening_is_tried_again(play: Play) -> None:
    async def scene(nets: Nets) -> None:
        def refuse(networks: Any, living: Any) -> list[str]:
            raise Conflict("another one has it")

        nets.hands.open = refuse  # type: ignore[method-assign]
        with pytest.raises(Conflict, match="another one has it"):
            await nets.networks.get("bridge")
        del nets.hands.open
        bridge = await nets.networks.create(wanted())
        assert bridge.subnets

    play(scene)
