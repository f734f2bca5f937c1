"""What the command says about networks: ports that change, rates, drawings."""

from pathlib import Path
from typing import Any

import pytest

from lodge.cli.settings.networks import rates
from lodge.cli.settings.ports import changed_ports
from lodge.errors import InvalidArgument
from tests.unit.cli.conftest import Lodge
from tests.unit.fake_engine import FakeEngine, Reply


def place(port: str, address: str = "") -> dict[str, str]:
    return {"HostIp": address, "HostPort": port}


KNOWN: dict[str, Any] = {"80/tcp": [place("8080"), place("8081", "127.0.0.1")], "53/udp": [place("53")]}


@pytest.mark.parametrize(
    ("added", "removed", "left"),
    [
        ([], [], KNOWN),
        (["9000:90"], [], {**KNOWN, "90/tcp": [place("9000")]}),
        (["8080:80"], [], KNOWN),
        ([], ["8080:80"], {**KNOWN, "80/tcp": [place("8081", "127.0.0.1")]}),
        ([], ["80"], {"53/udp": [place("53")]}),
        ([], ["127.0.0.1:8081:80"], {**KNOWN, "80/tcp": [place("8080")]}),
        (["54:53/udp"], ["53:53/udp"], {**KNOWN, "53/udp": [place("54")]}),
    ],
)
def test_ports_that_change(added: list[str], removed: list[str], left: dict[str, Any]) -> None:
    assert changed_ports(KNOWN, added, removed) == left


def test_only_what_is_published_can_be_taken_away() -> None:
    with pytest.raises(InvalidArgument, match="port 99 is not published"):
        changed_ports(KNOWN, [], ["99"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10mbit", {"io.lodge.egress": "10mbit", "io.lodge.ingress": "10mbit"}),
        ("egress=1g,ingress=0", {"io.lodge.egress": "1g", "io.lodge.ingress": ""}),
    ],
)
def test_rates(text: str, found: dict[str, str]) -> None:
    assert rates(text) == found


def test_no_rate() -> None:
    with pytest.raises(InvalidArgument, match="invalid network rate: up=1"):
        rates("up=1")


def test_update_sends_the_whole_map(lodge: Lodge, engine: FakeEngine) -> None:
    shown = {"HostConfig": {"PortBindings": {"80/tcp": [place("8080")]}}}
    engine.on("GET", "/containers/web/json", Reply(shown))
    engine.on("POST", "/containers/web/update", Reply({"Warnings": None}))
    assert lodge("update", "--publish-add", "81", "--network-rate", "1m", "web").out == "web\n"
    sent = engine.asked("/containers/web/update")[0].json()
    assert sent["PortBindings"] == {"80/tcp": [place("8080")], "81/tcp": [place("")]}
    assert sent["Annotations"]["io.lodge.egress"] == "1m"


def test_draw(lodge: Lodge, engine: FakeEngine, tmp_path: Path) -> None:
    network = {
        "Name": "mine", "Id": "1" * 64, "Driver": "bridge", "Scope": "local", "Internal": False,
        "IPAM": {"Config": [{"Subnet": "10.1.0.0/16"}]}, "Options": {}, "Labels": {}, "EnableIPv6": False,
    }  # fmt: skip
    engine.on("GET", "/networks", Reply([network]))
    engine.on("GET", "/containers/json", Reply([]))
    assert "mine" in lodge("network", "draw").out
    picture = tmp_path / "x.svg"
    lodge("network", "draw", "--format", "svg", "-o", str(picture))
    assert picture.read_text().startswith("<svg")
    assert lodge("network", "draw", "--format", "png").code == 1
