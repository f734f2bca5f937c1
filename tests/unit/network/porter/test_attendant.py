"""A container's wish becomes as few messages as it takes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from lodge.network.contract import Endpoint, Network, Resolver, Sandbox
from lodge.network.names.view import Attachment, Member, Upstream, View
from lodge.network.porter.attendant import Attendant, Door, view_of
from lodge.network.porter.held import Held
from lodge.network.porter.messages import Target

FRONT = Network(id="f", name="front", driver="bridge", link="br-f")
INSIDE = Network(id="i", name="inside", driver="bridge", link="br-i", internal=True)
WEB = Endpoint(id="e1", network="f", mac="", ipv4="10.1.0.2/16", names=("web",), links={"db": "c2"})
LOCAL = Endpoint(id="e2", network="i", mac="", ipv4="10.2.0.2/16", names=("web",))


class Recorder:
    """A porter that only remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def take(self) -> list[tuple[object, ...]]:
        told, self.told = self.told, []
        return told

    def open(self) -> Held:
        return Held(sandboxes=frozenset({"c1"}), ports={"c1": frozenset({"b", "a"}), "c2": frozenset({"x"})})

    def settle(self) -> None:
        self.told.append(("settle",))

    def close(self) -> None:
        self.told.append(("close",))

    def join(self, network: str, member: Member) -> None:
        self.told.append(("join", network, member.endpoint, member.names, member.ipv4))

    def leave(self, network: str, endpoint: str) -> None:
        self.told.append(("leave", network, endpoint))

    def open_sandbox(self, container: str, view: View, udp: int = -1, tcp: int = -1) -> None:
        self.told.append(("open", container, view.networks, udp, tcp))

    def close_sandbox(self, container: str) -> None:
        self.told.append(("close", container))

    def reserve(self, container: str, key: str, target: Target, fd: int = -1) -> None:
        self.told.append(("reserve", container, key, target, fd))

    def free(self, container: str, keys: Iterable[str] | None = None) -> None:
        self.told.append(("free", container, None if keys is None else tuple(keys)))


@pytest.fixture
def porter() -> Recorder:
    return Recorder()


@pytest.fixture
def attendant(porter: Recorder) -> Attendant:
    return Attendant(porter)  # type: ignore[arg-type]


def wish(*endpoints: Endpoint, **resolver: object) -> Sandbox:
    return Sandbox(
        container="c1",
        endpoints=endpoints,
        resolver=Resolver(embedded=True, **resolver),  # type: ignore[arg-type]
    )


FRONT_VIEW = (Attachment(network="f", name="front", links={"db": "c2"}),)


def test_what_a_porter_holds(attendant: Attendant) -> None:
    assert attendant.held() == {"c1": ("dns", "a", "b"), "c2": ("x",)}


def test_a_start_and_an_end(attendant: Attendant, porter: Recorder) -> None:
    door = Door(key="k", fd=9, target_address="10.1.0.2/16", target_port=80)
    attendant.attend(wish(WEB), [FRONT], (5, 6), [door])
    assert porter.take() == [
        ("join", "f", "e1", ("web",), "10.1.0.2/16"),
        ("open", "c1", FRONT_VIEW, 5, 6),
        ("reserve", "c1", "k", Target(protocol="tcp", address="10.1.0.2", port=80), 9),
    ]
    attendant.leave("c1")
    assert porter.take() == [("leave", "f", "e1"), ("close", "c1"), ("free", "c1", None)]


def test_the_same_wish_again_is_silent(attendant: Attendant, porter: Recorder) -> None:
    attendant.attend(wish(WEB), [FRONT], (5, 6), [Door(key="k", fd=9)])
    porter.take()
    attendant.attend(wish(WEB), [FRONT], (), [Door(key="k")])
    assert porter.take() == []


def test_changes_cost_what_has_changed(attendant: Attendant, porter: Recorder) -> None:
    attendant.attend(wish(WEB), [FRONT], (5, 6), [Door(key="k", fd=9)])
    porter.take()
    attendant.attend(wish(WEB, LOCAL), [FRONT, INSIDE], (), [Door(key="k", target_address="10.1.0.2")])
    both = (*FRONT_VIEW, Attachment(network="i", name="inside"))
    assert porter.take() == [
        ("join", "i", "e2", ("web",), "10.2.0.2/16"),
        ("open", "c1", both, -1, -1),
        ("reserve", "c1", "k", Target(protocol="tcp", address="10.1.0.2"), -1),
    ]
    attendant.attend(wish(LOCAL), [FRONT, INSIDE])
    told = porter.take()
    assert told[0] == ("leave", "f", "e1")
    assert told[-1] == ("free", "c1", ("k",))


def test_without_a_server_of_its_own_a_container_can_still_be_called(
    attendant: Attendant, porter: Recorder
) -> None:
    attendant.attend(Sandbox(container="c1", endpoints=(WEB,)), [FRONT])
    assert porter.take() == [("join", "f", "e1", ("web",), "10.1.0.2/16"), ("close", "c1")]


def test_a_stop_ends_everything(attendant: Attendant, porter: Recorder) -> None:
    attendant.attend(wish(WEB), [FRONT], (5, 6))
    porter.take()
    attendant.stop()
    assert porter.take()[-2:] == [("settle",), ("close",)]


def test_upstreams_as_docker_spells_them() -> None:
    view = view_of(wish(WEB, upstreams=("host(127.0.0.53)", "1.1.1.1", "fe80::1%eth0")), [FRONT])
    assert view.upstreams == (
        Upstream(address="127.0.0.53"),
        Upstream(address="1.1.1.1", inside=True),
        Upstream(address="fe80::1%eth0", inside=True),
    )


@pytest.mark.parametrize(
    ("networks", "external"), [([FRONT, INSIDE], True), ([INSIDE], False), ([FRONT], True), ([], False)]
)
def test_only_internal_networks_have_nobody_outside(networks: list[Network], external: bool) -> None:
    endpoints = [endpoint for endpoint in (WEB, LOCAL) if endpoint.network in {one.id for one in networks}]
    assert view_of(wish(*endpoints), networks).external == external


@pytest.mark.parametrize(
    ("options", "ndots"),
    [((), False), (("ndots:0",), False), (("edns0", "ndots:2"), True), (("rotate",), False)],
)
def test_ndots(options: tuple[str, ...], ndots: bool) -> None:
    assert view_of(wish(WEB, options=options), [FRONT]).ndots == ndots
