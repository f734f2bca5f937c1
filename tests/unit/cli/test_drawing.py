"""The picture of networks: made of what the API lists, the same each time, whatever names people choose."""

import random
import xml.etree.ElementTree as ElementTree
from typing import Any

from lodge.cli.drawing import svg, text
from lodge.cli.drawing.topology import topology

NAMESPACE = "{http://www.w3.org/2000/svg}"
BRIDGE = "com.docker.network.bridge."


def network(name: str, driver: str = "bridge", **more: Any) -> dict[str, Any]:
    block = {"Subnet": f"10.{len(name)}.0.0/16", "Gateway": f"10.{len(name)}.0.1"}
    config = [block] if driver not in ("host", "null") else None
    return {
        "Id": name.encode().hex().ljust(64, "0"), "Name": name, "Driver": driver,
        "IPAM": {"Config": config}, "Options": {}, "Internal": False, **more,
    }  # fmt: skip


def container(name: str, *networks: str, **more: Any) -> dict[str, Any]:
    attached = {
        one: {"IPAddress": f"10.{len(one)}.0.2", "Gateway": f"10.{len(one)}.0.1", "MacAddress": "02:42::2"}
        for one in networks
    }
    return {
        "Id": name, "Names": [f"/{name}"], "Image": "busybox", "State": "running", "Ports": [],
        "HostConfig": {"NetworkMode": networks[0] if networks else ""},
        "NetworkSettings": {"Networks": attached}, **more,
    }  # fmt: skip


NETWORKS = [
    network("none", "null"),
    network("back", Internal=True),
    network("front", Options={BRIDGE + "name": "br0", BRIDGE + "enable_icc": "false"}),
    network("host", "host"),
    network("lan", "macvlan", Options={"parent": "eth0.10"}),
    network("bridge", Options={BRIDGE + "name": "lodge0", BRIDGE + "enable_ip_masquerade": "false"}),
]
PORTS = [
    {"IP": "0.0.0.0", "PublicPort": 8080, "PrivatePort": 80, "Type": "tcp"},
    {"IP": "::", "PublicPort": 8080, "PrivatePort": 80, "Type": "tcp"},
    {"IP": "::1", "PublicPort": 53, "PrivatePort": 53, "Type": "udp"},
    {"IP": "0.0.0.0", "PublicPort": 81, "PrivatePort": 81, "Type": "tcp"},
    {"PrivatePort": 443, "Type": "tcp"},
]
WEB = container("web", "front", "back", Ports=PORTS)
WEB["NetworkSettings"]["Networks"]["back"]["Gateway"] = ""
CONTAINERS = [
    WEB,
    container("sidecar", HostConfig={"NetworkMode": "container:web"}),
    container("db", "back", State="paused"),
    container("old", "back", State="exited"),
    container("agent", "host"),
]


def test_the_tree() -> None:
    picture = text(NETWORKS, CONTAINERS)
    assert (
        picture
        == """\
host
├── bridge: bridge lodge0, 10.6.0.0/16 (gateway 10.6.0.1)
│       goes out with its own addresses
├── back: bridge br-6261636b0000, 10.4.0.0/16 (gateway 10.4.0.1)
│   │   internal: nothing goes out
│   ├── db   10.4.0.2  (paused)
│   └── web  10.4.0.2  also in front
│            shared with sidecar
├── front: bridge br0, 10.5.0.0/16 (gateway 10.5.0.1)
│   │   goes out behind the host's address
│   │   containers do not reach each other
│   └── web  10.5.0.2  also in back
│            [::1]:53 → 53/udp
│            0.0.0.0:81 → 81/tcp
│            8080 → 80/tcp
│            shared with sidecar
├── lan: macvlan eth0.10, 10.3.0.0/16 (gateway 10.3.0.1)
├── host: the host's own network
│   └── agent  10.4.0.2
└── none: no network
"""
    )


def test_the_picture_is_whole_and_says_the_same() -> None:
    root = ElementTree.fromstring(svg(NETWORKS, CONTAINERS))
    said = [element.text for element in root.iter(f"{NAMESPACE}text")]
    for words in (
        "web",
        "db",
        "paused",
        "8080 → 80/tcp",
        "internal: nothing goes out",
        "shared with sidecar",
    ):
        assert words in said
    assert said.count("web") == 2
    assert "old" not in said
    bands = [element.get("id") for element in root.iter(f"{NAMESPACE}g")]
    assert bands == [f"network-{name}" for name in ("bridge", "back", "front", "lan", "host", "none")]


def test_nothing_lies_outside_of_the_frame() -> None:
    many = [container(f"c{number:02}", "front", Ports=PORTS) for number in range(20)]
    root = ElementTree.fromstring(svg(NETWORKS, many))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for box in root.iter(f"{NAMESPACE}rect"):
        assert 0 <= float(box.get("x", 0)) <= float(box.get("x", 0)) + float(box.get("width", 0)) <= width
        assert 0 <= float(box.get("y", 0)) <= float(box.get("y", 0)) + float(box.get("height", 0)) <= height


def test_the_order_of_the_lists_does_not_matter() -> None:
    chance = random.Random(3)
    networks, containers = list(NETWORKS), list(CONTAINERS)
    first = text(networks, containers), svg(networks, containers)
    for _ in range(5):
        chance.shuffle(networks)
        chance.shuffle(containers)
        assert (text(networks, containers), svg(networks, containers)) == first


def test_names_are_only_text() -> None:
    hostile = '"><script>alert(1)</script>&'
    picture = svg([network(hostile)], [container(hostile, hostile, Image="<b>" * 50)])
    root = ElementTree.fromstring(picture)
    assert not list(root.iter(f"{NAMESPACE}script"))
    assert "<script" not in picture


def test_an_engine_without_anything() -> None:
    assert text([], []) == "host\n"
    assert ElementTree.fromstring(svg([], [])).tag == f"{NAMESPACE}svg"


def test_ports_are_told_where_the_world_is_reached() -> None:
    segments = topology(NETWORKS, CONTAINERS)
    found = {(one.name, place.name): place.ports for one in segments for place in one.places}
    assert found["back", "web"] == ()
    assert len(found["front", "web"]) == 3
