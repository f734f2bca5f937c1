"""What others, crashes and people with `ip` and `nft` do to networks, and that it is put right."""

import contextlib
import errno
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lodge.errors import Conflict, InvalidArgument, LodgeError
from lodge.kernel.netlink import links
from lodge.kernel.netlink.socket import NETLINK_NETFILTER, NetlinkSocket
from lodge.kernel.nftables import watch
from lodge.kernel.nftables.batch import Batch
from lodge.kernel.nftables.expressions import DROP
from lodge.kernel.nftables.ruleset import Base, Chain, Table
from lodge.network import host
from lodge.network.contract import Port
from tests.privileged.network.conftest import HOST, INSTANCE, WORLD, Listener, Scene, reach, refused, wait_for

OURS = {("inet", f"lodge-{INSTANCE}"), ("bridge", f"lodge-{INSTANCE}")}
ADMIN = Table("inet", "admin", (), (Chain("input", Base("filter", "input", 0), ((DROP,),)),))


def tables() -> set[tuple[str, str]]:
    with NetlinkSocket(NETLINK_NETFILTER) as sock:
        return set(watch.tables(sock))


def change_rules(batch: Batch) -> None:
    with NetlinkSocket(NETLINK_NETFILTER) as sock:
        batch.commit(sock)


def change_links(*requests: links.Request) -> None:
    with NetlinkSocket() as sock:
        sock.do(*requests)


def test_rules_are_back_at_once_after_a_flush(scene: Scene) -> None:
    one, two = scene.guest(scene.network(1), Port(container_port=80)), scene.guest(scene.network(2))
    with one.inside():
        server = Listener("0.0.0.0", 80)
    with server:
        for family, name in OURS:
            change_rules(Batch().remove_table(family, name))
        wait_for(lambda: tables() == OURS)
        with two.inside():
            assert refused(server, one.ipv4, 80)
        with scene.in_world():
            assert reach(server, HOST, one.port) == WORLD


def test_the_hosts_own_rules_are_left_alone_and_ours_go_with_the_last_network(scene: Scene) -> None:
    change_rules(Batch().add_table(ADMIN))
    network = scene.network()
    scene.stop(scene.guest(network, Port(container_port=80)))
    assert tables() == {*OURS, ("inet", "admin")}
    scene.networks.remove(network)
    scene.hands.remove(network)
    wait_for(lambda: tables() == {("inet", "admin")})
    with NetlinkSocket(NETLINK_NETFILTER) as sock:
        assert watch.count_rules(sock, "inet", "admin") == 1


def test_nothing_stays_when_the_engine_leaves_without_containers(scene: Scene) -> None:
    network = scene.network()
    scene.stop(scene.guest(network, Port(container_port=80)))
    scene.networks.remove(network)
    scene.hands.remove(network)
    scene.hands.close()
    assert tables() == set()
    wait_for(lambda: {link.name for link in every_link()} == {"lo", "eth0"})


def test_a_bridge_that_was_deleted_is_made_again_at_its_next_use(scene: Scene) -> None:
    network = scene.network()
    old = scene.guest(network)
    change_links(links.delete(network.link))
    new = scene.guest(network)
    with old.inside():
        server = Listener("0.0.0.0", 80)
    with server:
        with new.inside():
            assert reach(server, old.ipv4, 80) == new.ipv4
        assert reach(server, old.ipv4, 80) == "10.1.0.1"


def test_a_bridge_that_was_renamed_stays_guarded_and_gets_its_name_back(scene: Scene) -> None:
    network = scene.network()
    one, two = scene.guest(network), scene.guest(scene.network(2))
    bridge = scene.link(network.link)
    assert bridge
    change_links(
        links.change(index=bridge.ifindex, up=False),
        links.change(index=bridge.ifindex, also=links.settings(rename="odd")),
        links.change(index=bridge.ifindex, up=True),
    )
    with one.inside():
        server = Listener("0.0.0.0", 80)
    with server, two.inside():
        assert refused(server, one.ipv4, 80)
    scene.hands.close()
    scene.hands = scene.begin()
    assert scene.hands.open(scene.networks, [one.living(), two.living()]) == []
    assert scene.link("odd") is None
    assert scene.link(network.link)


def test_after_a_sudden_death_everything_is_found_and_what_is_left_over_goes(scene: Scene) -> None:
    network, forgotten = scene.network(1), scene.network(2)
    kept = scene.guest(network, Port(container_port=80, host_port=8080))
    lost = scene.guest(network, Port(container_port=80, host_port=8081))
    scene.guest(forgotten)
    # The death: nothing is closed in an order. Sockets and descriptors of the dead engine are the kernel's.
    scene.hands.close()
    scene.networks.remove(forgotten)
    scene.hands = scene.begin()
    assert scene.hands.open([network], [kept.living()]) == []
    assert scene.link(forgotten.link) is None
    assert len(ports_of_guests()) == 1
    with kept.inside():
        server = Listener("0.0.0.0", 80)
    with server, scene.in_world():
        assert reach(server, HOST, 8080) == WORLD
        assert refused(server, HOST, 8081)
    with Listener("0.0.0.0", 8081):
        pass
    assert "eth0" not in lost.links()


def test_another_engines_links_and_rules_stay(scene: Scene) -> None:
    mark = links.settings(alias="lodge:00000000:bridge:" + "f" * 64)
    change_links(links.bridge("theirs"), links.change("theirs", also=mark), links.bridge("mine"))
    change_rules(Batch().add_table(Table("inet", "lodge-00000000", (), ())))
    scene.hands.open([scene.network()], [])
    assert scene.link("theirs")
    assert scene.link("mine")
    assert ("inet", "lodge-00000000") in tables()


def test_a_start_that_fails_leaves_nothing(scene: Scene) -> None:
    network = scene.network()
    scene.stop(scene.guest(network, Port(container_port=80, host_port=8080)))
    wait_for(lambda: len(scene.hands._cells.pool.ports()) == 3)
    before = footprint()
    with Listener("0.0.0.0", 8080), pytest.raises(Conflict, match="8080"):
        scene.guest(network, Port(container_port=80, host_port=8080))
    bad = scene.sandbox(scene.endpoint(network, sysctls={"net.ipv4.conf.IFNAME.nope": "1"}))
    with pytest.raises(InvalidArgument, match="sysctl"):
        scene.start(bad)
    wait_for(lambda: footprint() == before, 4)


def test_a_hundred_starts_leave_nothing_and_do_not_get_slower(scene: Scene) -> None:
    network = scene.network()
    scene.stop(scene.guest(network, Port(container_port=80)))  # the porter and its connection begin here
    scene.hands._cells.pool.forget(network.id)
    wait_for(lambda: not ports_of_guests())
    before = footprint()
    took = []
    for _ in range(100):
        wish = scene.sandbox(scene.endpoint(network), ports=(Port(container_port=80),))
        start = time.perf_counter()
        ready = scene.hands.prepare(wish)
        took.append(time.perf_counter() - start)
        assert Path(ready.path).exists()
        scene.hands.started(wish.container, os.getpid())
        scene.hands.release(wish.container)
    assert statistics.median(took[50:]) < 3 * statistics.median(took[:50])
    wait_for(lambda: (scene.hands._cells.pool.forget(network.id), footprint() == before)[1], 10)


def test_a_neighbour_that_drops_what_is_forwarded_is_named(scene: Scene) -> None:
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed")
    chain = "add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }"
    subprocess.run(["nft", f"add table ip filter; {chain}"], check=True)
    network = scene.network()
    [warning] = scene.hands.open([network], [])
    assert "FORWARD of the table ip filter" in warning


def test_forwarding_is_switched_on_and_the_hosts_own_routes_are_kept(scene: Scene) -> None:
    host.set_sysctl("ipv4/ip_forward", "0")
    host.set_sysctl("ipv6/conf/all/forwarding", "0")
    host.set_sysctl("ipv6/conf/eth0/accept_ra", "1")
    scene.network(ipv6=True)
    assert host.sysctl("ipv4/ip_forward") == "1"
    assert host.sysctl("ipv6/conf/all/forwarding") == "1"
    assert host.sysctl("ipv6/conf/eth0/accept_ra") == "2"


def test_a_container_that_changed_its_hardware_address_is_found_again(scene: Scene) -> None:
    network = scene.network()
    guest = scene.guest(network)
    with guest.inside():
        change_links(links.change("eth0", also=links.settings(mac="02:00:00:00:00:99")))
    scene.hands.close()
    scene.hands = scene.begin()
    assert scene.hands.open([network], [guest.living()]) == []


class Death:
    """From its moment on nothing that the engine asks of the kernel happens, as after kill -9."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
        self.left = calls
        for owner, name in ((NetlinkSocket, "try_all"), (NetlinkSocket, "transact"), (host, "set_sysctl")):
            monkeypatch.setattr(owner, name, self.mortal(getattr(owner, name)))

    def mortal(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            self.left -= 1
            if self.left < 0:
                raise OSError(errno.EIO, "dead")
            return real(*arguments)

        return call


def test_a_sudden_death_between_any_two_steps_is_repaired(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, other = scene.network(1, ipv6=True), scene.network(2)
    kept = scene.guest(other, Port(container_port=80, host_port=8090))
    wish = scene.sandbox(scene.endpoint(network), ports=(Port(container_port=80, host_port=8080),))
    scene.hands.remove(network)
    died, calls = True, 0
    while died:
        with monkeypatch.context() as patch:
            death = Death(patch, calls)
            with contextlib.suppress(OSError, LodgeError):
                scene.hands.create(network)
                scene.hands.prepare(wish)
            died = death.left < 0
            with contextlib.suppress(OSError, LodgeError):
                scene.hands.close()
        calls += 1
        scene.hands = scene.begin()
        assert scene.hands.open([network, other], [kept.living()]) == []
        assert len(ports_of_guests()) == 1
        assert footprint()[2] == 1  # the kept port
        scene.stop(scene.start(wish))
        scene.hands.remove(network)
        wait_for(lambda: scene.link(network.link) is None and len(ports_of_guests()) == 1)
    assert calls > 12


def footprint() -> tuple[int, int, int, str]:
    """Links, descriptors that are not the porter's link, elements of sets, listening ports."""
    with NetlinkSocket(NETLINK_NETFILTER) as sock:
        elements = sum(
            len(watch.elements(sock, "inet", f"lodge-{INSTANCE}", name))
            for name in ("any4", "any6", "ports4")
        )
    names = [link.name for link in every_link() if not link.name.startswith("veth") or link.alias]
    with open("/proc/thread-self/net/tcp", encoding="ascii") as file:
        listening = sum(line.split()[3] == "0A" for line in file.readlines()[1:])
    return len(names), len(os.listdir("/proc/self/fd")), elements, str(listening)


def ports_of_guests() -> list[str]:
    return [link.name for link in every_link() if link.kind == "veth" and link.alias]


def every_link() -> list[links.Link]:
    with NetlinkSocket() as sock:
        return [links.parse(answer) for answer in sock.ask(links.dump())]
