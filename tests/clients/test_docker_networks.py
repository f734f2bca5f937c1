"""Networks as people use them with the docker command: names, ports, several networks, what is left after."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator

import pytest

from tests.clients.daemon import Lodged

SERVE = "mkdir -p /www; echo $0 > /www/index.html; exec httpd -f -h /www -p"
FOREVER = ("sleep", "1000")


class Town:
    """Containers and networks of one test, removed after it."""

    def __init__(self, lodged: Lodged) -> None:
        self.lodged = lodged
        self.out = lodged.out
        self._containers: list[str] = []
        self._networks: list[str] = []

    def network(self, name: str, *options: str) -> str:
        self._networks.append(name)
        return self.out("network", "create", *options, name)

    def run(self, name: str, *words: str) -> str:
        self._containers.append(name)
        return self.out("run", "-d", "--name", name, *words)

    def serve(self, name: str, *options: str, port: int = 80) -> str:
        """A container that answers HTTP with its own name."""
        return self.run(name, *options, "busybox", "sh", "-c", f"{SERVE} {port}", name)

    def exec(self, name: str, script: str) -> str:
        return self.out("exec", name, "sh", "-c", script)

    def fails(self, *words: str) -> str:
        done = self.lodged.docker(*words, check=False)
        assert done.returncode != 0
        return done.stderr.decode()

    def inspect(self, name: str, path: str) -> object:
        return json.loads(self.out("inspect", "-f", f"{{{{json {path}}}}}", name))

    def clear(self) -> None:
        if self._containers:
            self.lodged.docker("rm", "-f", "-v", *self._containers, check=False)
        for name in self._networks:
            self.lodged.docker("network", "rm", name, check=False)


@pytest.fixture
def town(lodged: Lodged) -> Iterator[Town]:
    made = Town(lodged)
    yield made
    made.clear()


def get(address: str) -> str:
    """What a server says, asked a few times while it comes up."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://{address}/", timeout=2) as answer:
                return str(answer.read().decode().strip())
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nobody answers at {address}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


def links() -> set[str]:
    return set(os.listdir("/sys/class/net"))


# The image's static wget can't look names up itself, and dies of -T.
FETCH = """
n={0}
a=$(awk -v n=$n '$2 == n {{print $1; exit}}' /etc/hosts)
for i in 1 2 3 4 5 6 7 8 9; do
    b=${{a:-$(nslookup $n 127.0.0.11 2>/dev/null | sed -n 's/^Address: //p' | head -n 1)}}
    timeout 2 wget -q -O - http://${{b:-$n}}/ && exit
    sleep 0.1
done
exit 1
"""


def test_containers_find_each_other_by_names(town: Town) -> None:
    town.network("n-names")
    town.network("n-names-other")
    full = town.serve("na", "--network", "n-names", "--network-alias", "shop", "--hostname", "host-a")
    town.run("nb", "--network", "n-names", "busybox", *FOREVER)
    town.run("nc", "--network", "n-names-other", "busybox", *FOREVER)
    for called in ("na", "shop", full[:12], "host-a"):
        assert town.exec("nb", FETCH.format(called)) == "na"
    address = town.out("inspect", "-f", '{{(index .NetworkSettings.Networks "n-names").IPAddress}}', "na")
    assert "na.n-names" in town.exec("nb", f"nslookup {address}")
    assert "NXDOMAIN" in town.exec("nc", "nslookup na || true")
    names = town.inspect("na", '(index .NetworkSettings.Networks "n-names").DNSNames')
    assert names == ["na", "shop", full[:12], "host-a"]


def test_networks_are_apart(town: Town) -> None:
    town.network("n-left")
    town.network("n-right")
    town.serve("ia", "--network", "n-left")
    town.run("ib", "--network", "n-right", "busybox", *FOREVER)
    address = town.out("inspect", "-f", '{{(index .NetworkSettings.Networks "n-left").IPAddress}}', "ia")
    assert get(address) == "ia"
    assert town.exec("ib", f"timeout 1 wget -q -O - http://{address}/ 2>&1 || echo apart").endswith("apart")


def test_one_name_for_several(town: Town) -> None:
    town.network("n-many")
    for name in ("ma", "mb"):
        town.serve(name, "--network", "n-many", "--network-alias", "web")
    town.run("mc", "--network", "n-many", "busybox", *FOREVER)
    answer = town.exec("mc", "nslookup web 127.0.0.11")
    assert answer.count("Name:\tweb") == 2
    heard = {town.exec("mc", FETCH.format("web")) for _ in range(12)}
    assert heard == {"ma", "mb"}
    town.lodged.docker("stop", "-t", "0", "ma")
    assert town.exec("mc", "nslookup web 127.0.0.11").count("Name:\tweb") == 1


def test_published_ports(town: Town) -> None:
    port = free_port()
    town.serve("pa", "-p", f"{port}:80", "-p", "127.0.0.1::81", "-p", "82/udp")
    for address in ("127.0.0.1", "[::1]", own_address()):
        assert get(f"{address}:{port}") == "pa"
    assert town.out("port", "pa", "80").split() == [f"0.0.0.0:{port}", f"[::]:{port}"]
    chosen = town.out("port", "pa", "81")
    assert chosen.startswith("127.0.0.1:")
    assert f"0.0.0.0:{port}->80/tcp, [::]:{port}->80/tcp" in town.out("ps", "--filter", "name=pa")
    refused = town.fails("run", "--name", "pb", "-p", f"{port}:80", "busybox", "true")
    town.lodged.docker("rm", "-f", "pb")
    assert "failed to set up container networking: driver failed programming external" in refused
    assert f"Bind for 0.0.0.0:{port} failed: port is already allocated" in refused
    town.lodged.docker("rm", "-f", "pa")
    town.serve("pc", "-p", f"{port}:80")
    assert get(f"127.0.0.1:{port}") == "pc"


def test_a_published_port_from_another_container_by_the_hosts_address(town: Town) -> None:
    port = free_port()
    town.network("n-hairpin")
    town.serve("ha", "-p", f"{port}:80", "--network", "n-hairpin")
    town.run("hb", "busybox", *FOREVER)
    town.run("hc", "--network", "n-hairpin", "busybox", *FOREVER)
    for name in ("hb", "hc"):
        assert town.exec(name, FETCH.format(f"{own_address()}:{port}")) == "ha"


def test_publish_all(town: Town) -> None:
    town.serve("qa", "-P", "--expose", "80")
    place = town.out("port", "qa", "80").splitlines()[0]
    assert get(place.replace("0.0.0.0", "127.0.0.1")) == "qa"


def test_connect_and_disconnect(town: Town) -> None:
    town.network("n-one")
    town.network("n-two", "--subnet", "10.213.7.0/24")
    town.run("ca", "--network", "n-one", "busybox", *FOREVER)
    town.serve("cb", "--network", "n-two")
    town.lodged.docker("network", "connect", "--ip", "10.213.7.77", "--alias", "x", "n-two", "ca")
    assert "10.213.7.77/24" in town.exec("ca", "ip addr show eth1")
    assert town.exec("ca", FETCH.format("cb")) == "cb"
    assert "10.213.7.77" in town.exec("ca", "cat /etc/hosts")
    assert "endpoint with name ca already exists in network n-two" in town.fails(
        "network", "connect", "n-two", "ca"
    )
    assert "network n-two has active endpoints" in town.fails("network", "rm", "n-two")
    town.lodged.docker("network", "disconnect", "n-two", "ca")
    assert "eth1" not in town.exec("ca", "ip addr")
    assert "is not connected to network n-two" in town.fails("network", "disconnect", "n-two", "ca")


def test_the_way_out_follows_the_priority(town: Town) -> None:
    town.network("n-a-low")
    town.network("n-b-high", "--subnet", "10.214.7.0/24")
    town.run(
        "ga", "--network", "n-a-low", "--network", "name=n-b-high,gw-priority=5,ip=10.214.7.9", "busybox",
        *FOREVER,
    )  # fmt: skip
    assert "default via 10.214.7.1 dev eth0" in town.exec("ga", "ip route")
    town.lodged.docker("network", "disconnect", "n-b-high", "ga")
    gateway = town.out("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "n-a-low")
    assert f"default via {gateway}" in town.exec("ga", "ip route")


def test_internal_networks_have_no_way_out(town: Town) -> None:
    town.network("n-inner", "--internal")
    town.run("za", "--network", "n-inner", "busybox", *FOREVER)
    assert "default" not in town.exec("za", "ip route")
    assert "unreachable" in town.exec("za", f"timeout 1 wget -q -O - http://{own_address()}/ 2>&1 || true")


def test_static_addresses_and_their_errors(town: Town) -> None:
    town.network("n-static", "--subnet", "10.215.7.0/24", "--ipv6", "--subnet", "fd00:215::/64")
    mac = "02:42:0a:d7:07:05"
    options = ("--network", "n-static", "--ip", "10.215.7.5", "--ip6", "fd00:215::5", "--mac-address", mac)
    town.run("sa", *options, "busybox", *FOREVER)
    shown = town.exec("sa", "ip addr show eth0")
    assert "10.215.7.5/24" in shown
    assert "fd00:215::5/64" in shown
    assert mac in shown
    for words, message in (
        (("--ip", "10.215.7.5"), "Address already in use"),
        (("--ip", "10.99.0.1"), "no configured subnet or ip-range contain the IP address 10.99.0.1"),
    ):
        refused = town.fails("run", "--rm", "--network", "n-static", *words, "busybox", "true")
        assert message in refused
    assert "overlaps" in town.fails("network", "create", "--subnet", "10.215.7.128/25", "n-overlap")
    town.lodged.docker("restart", "-t", "0", "sa")
    assert "10.215.7.5/24" in town.exec("sa", "ip addr show eth0")


def test_links_of_the_default_bridge(town: Town) -> None:
    town.serve("la", "--expose", "80", "--hostname", "here", "-e", "COLOUR=red")
    town.run("lb", "--link", "la:db", "busybox", *FOREVER)
    assert "\tdb here la\n" in town.exec("lb", "cat /etc/hosts") + "\n"
    assert town.exec("lb", FETCH.format("db")) == "la"
    env = town.exec("lb", "env")
    assert "DB_PORT_80_TCP_PROTO=tcp" in env
    assert "DB_NAME=/lb/db" in env
    assert "DB_ENV_COLOUR=red" in env
    assert town.inspect("lb", ".HostConfig.Links") == ["/la:/lb/db"]


def test_files_of_names(town: Town) -> None:
    town.network("n-files")
    words = ("--add-host", "gate:host-gateway", "--dns-search", "example.org", "--dns-option", "ndots:3")
    town.run("fa", "--network", "n-files", *words, "--hostname", "me", "busybox", *FOREVER)
    hosts = town.exec("fa", "cat /etc/hosts")
    gateway = town.out("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "bridge")
    assert f"{gateway}\tgate" in hosts
    assert hosts.splitlines()[-1].endswith("\tme")
    resolv = town.exec("fa", "cat /etc/resolv.conf")
    assert "nameserver 127.0.0.11" in resolv
    assert "search example.org" in resolv
    assert "options ndots:3" in resolv
    town.run("fb", "--dns", "192.0.2.53", "busybox", *FOREVER)
    assert "nameserver 192.0.2.53" in town.exec("fb", "cat /etc/resolv.conf")


def test_a_shared_network(town: Town) -> None:
    town.serve("xa")
    town.run("xb", "--network", "container:xa", "busybox", *FOREVER)
    get(town.out("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "xa"))
    assert town.exec("xb", "wget -q -O - http://127.0.0.1/") == "xa"
    assert town.exec("xa", "ip addr show eth0") == town.exec("xb", "ip addr show eth0")
    assert "conflicting options: port publishing and the container type network mode" in town.fails(
        "run", "--rm", "--network", "container:xa", "-p", "80", "busybox", "true"
    )


def test_lists_inspections_and_prune(town: Town) -> None:
    made = town.network("n-list", "--label", "colour=red", "-o", "com.docker.network.driver.mtu=1400")
    listed = town.out("network", "ls", "--filter", "label=colour=red", "--format", "{{.ID}} {{.Name}}")
    assert listed == f"{made[:12]} n-list"
    found = json.loads(town.out("network", "inspect", "n-list"))[0]
    assert (found["Driver"], found["Scope"], found["Labels"]) == ("bridge", "local", {"colour": "red"})
    town.run("ta", "--network", "n-list", "busybox", *FOREVER)
    assert "mtu 1400" in town.exec("ta", "ip link show eth0")
    assert "network with name n-list already exists" in town.fails("network", "create", "n-list")
    assert "n-list" not in town.out("network", "prune", "-f", "--filter", "label=colour=red")
    town.lodged.docker("rm", "-f", "ta")
    assert "n-list" in town.out("network", "prune", "-f", "--filter", "label=colour=red")


def test_events(town: Town) -> None:
    since = f"{time.time():.9f}"
    town.network("n-events")
    town.run("ea", "--network", "n-events", "busybox", *FOREVER)
    town.lodged.docker("rm", "-f", "ea")
    town.lodged.docker("network", "rm", "n-events")
    heard = town.out(
        "events", "--since", since, "--until", f"{time.time():.9f}", "--filter", "type=network",
        "--filter", "network=n-events", "--format", "{{.Action}} {{.Actor.Attributes.type}}",
    )  # fmt: skip
    assert heard.splitlines() == [
        f"{action} bridge" for action in ("create", "connect", "disconnect", "destroy")
    ]


def test_stats_count_each_interface(town: Town) -> None:
    town.serve("va")
    get(town.out("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "va"))
    received, _, sent = town.out("stats", "--no-stream", "--format", "{{.NetIO}}", "va").partition(" / ")
    assert received != "0B"
    assert sent != "0B"


def test_networks_live_on_without_the_daemon(own_lodged: Lodged) -> None:
    """Killed at any moment: names and ports go on; what ended meanwhile is taken down at the next start."""
    town = Town(own_lodged)
    port = free_port()
    town.network("n-live")
    town.serve("ra", "--network", "n-live", "-p", f"{port}:80")
    town.run("rb", "--network", "n-live", "busybox", "sh", "-c", "sleep 3")
    asking = subprocess.Popen(
        ["docker", "exec", "ra", "sh", "-c", "sleep 0.7; nslookup ra; nslookup rb"],
        stdout=subprocess.PIPE, env=own_lodged.environment, text=True,
    )  # fmt: skip
    time.sleep(0.3)
    own_lodged.stop(signal.SIGKILL)
    assert get(f"127.0.0.1:{port}") == "ra"
    said, _ = asking.communicate(timeout=20)
    assert said.count("Name:\tra") == 1
    assert said.count("Name:\trb") == 1
    time.sleep(2.5)
    own_lodged.start()
    assert own_lodged.out("inspect", "-f", "{{.State.Status}}", "rb") == "exited"
    assert get(f"127.0.0.1:{port}") == "ra"
    town.run("rc", "--network", "n-live", "busybox", *FOREVER)
    assert town.exec("rc", FETCH.format("ra")) == "ra"
    assert "NXDOMAIN" in town.exec("rc", "nslookup rb || true")
    assert f"{port}->80/tcp" in own_lodged.out("ps", "--filter", "name=ra")
    town.clear()


def test_nothing_is_left(own_lodged: Lodged) -> None:
    before = links()
    town = Town(own_lodged)
    town.network("n-left-over")
    town.run("oa", "--network", "n-left-over", "-p", str(free_port()), "busybox", *FOREVER)
    town.run("ob", "busybox", *FOREVER)
    assert len(links() - before) >= 4
    town.clear()
    own_lodged.stop()
    for _ in range(100):
        if not [name for name in links() - before if name.startswith(("br-", "lodge"))]:
            break
        time.sleep(0.05)
    assert not [name for name in links() - before if name.startswith(("br-", "lodge"))]


def test_no_container_reaches_the_engine(own_lodged: Lodged) -> None:
    """Hostile row 20: not through the gateway, not by any address of the host."""
    port = free_port()
    own_lodged.stop()
    own_lodged.start("-H", f"tcp://127.0.0.1:{port}")
    town = Town(own_lodged)
    town.run("ka", "--add-host", "gate:host-gateway", "busybox", *FOREVER)
    for address in ("gate", own_address(), "127.0.0.1", "169.254.169.254"):
        asked = f"timeout 1 wget -q -O - http://{address}:{port}/_ping 2>&1 || echo no"
        assert town.exec("ka", asked).endswith("no")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_ping", timeout=5) as answer:
        assert answer.read() == b"OK"
    town.clear()


def processes(root: str) -> list[str]:
    """The engine's processes that name a place of this root."""
    found = subprocess.run(["pgrep", "-af", root], capture_output=True, text=True, check=False).stdout
    return [line for line in found.splitlines() if "pgrep" not in line]


def test_a_daemon_killed_between_any_two_steps(own_lodged: Lodged) -> None:
    """Hostile row 40: nothing is half there when it comes up again, and all can be had again."""
    town = Town(own_lodged)
    town.network("n-kill")
    ports = [free_port() for _ in range(3)]
    for delay in (0.03, 0.06, 0.09, 0.12, 0.16, 0.25):
        starts = [
            subprocess.Popen(
                ["docker", "run", "-d", "--network", "n-kill", "-p", f"{port}:80", "busybox", *FOREVER],
                env=own_lodged.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for port in ports
        ]  # fmt: skip
        time.sleep(delay)
        own_lodged.stop(signal.SIGKILL)
        for start in starts:
            start.wait(20)
        own_lodged.start()
        if ids := own_lodged.out("ps", "-aq").split():
            own_lodged.docker("rm", "-f", *ids)
        assert own_lodged.out("network", "inspect", "-f", "{{json .Containers}}", "n-kill") == "{}"
        words = [word for port in ports for word in ("-p", f"{port}:80")]
        own_lodged.docker("run", "--rm", "--network", "n-kill", *words, "busybox", "true")
    town.clear()
    own_lodged.stop()
    for _ in range(100):
        if not processes(str(own_lodged.root)):
            break
        time.sleep(0.05)
    assert processes(str(own_lodged.root)) == []
