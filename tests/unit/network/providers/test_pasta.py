"""The command line of pasta, and what this provider does not offer."""

import itertools
from pathlib import Path

import pytest
from msgspec.structs import replace

from lodge.errors import Unavailable, Unsupported
from lodge.network.contract import Bandwidth, Endpoint, Port, Sandbox
from lodge.network.hands import NetworkHands
from lodge.network.providers import pasta
from lodge.network.providers.contract import Provider

ENDPOINT = Endpoint(
    id="e",
    network="n",
    mac="",
    ipv4="10.1.0.2/16",
    ipv6="fd00::2/64",
    gateway4="10.1.0.1",
    gateway6="fd00::1",
)
PORT = Port(container_port=80, host_ip="0.0.0.0", host_port=8080)


def pairs(endpoint: Endpoint, *ports: Port) -> list[tuple[str, str]]:
    words = pasta.arguments("pasta", endpoint, "eth0", ports, 7, "/run/x.pid")
    return list(itertools.pairwise(words))


def test_addresses_gateways_and_ports() -> None:
    found = pairs(ENDPOINT, PORT, replace(PORT, protocol="udp", container_port=53))
    assert ("--address", "10.1.0.2") in found
    assert ("--netmask", "16") in found
    assert ("--address", "fd00::2") in found
    assert ("--gateway", "fd00::1") in found
    assert ("-t", "0.0.0.0/8080:80") in found
    assert ("-u", "0.0.0.0/8080:53") in found
    assert found[-1] == ("--netns", "/proc/7/ns/net")


def test_nothing_is_open_that_was_not_asked_for() -> None:
    found = pairs(Endpoint(id="e", network="n", mac=""))
    assert {("-t", "none"), ("-u", "none"), ("-T", "none"), ("-U", "none")} <= set(found)
    assert any("--no-map-gw" in pair for pair in found)
    assert not any(word in ("--address", "--gateway") for word, _ in found)


@pytest.mark.parametrize(
    "wish",
    [
        Sandbox(container="c", endpoints=(ENDPOINT, ENDPOINT)),
        Sandbox(container="c", bandwidth=Bandwidth(egress=1)),
        Sandbox(container="c", ports=(replace(PORT, protocol="sctp"),)),
    ],
)
def test_what_it_has_not_is_unsupported(
    wish: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pasta, "_TUN", "/dev/null")
    with pytest.raises(Unsupported):
        pasta.PastaProvider(str(tmp_path), program="true").furnish(wish, 1)


def test_without_a_tun_device_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pasta, "_TUN", str(tmp_path / "none"))
    with pytest.raises(Unavailable, match="none can't be opened"):
        pasta.PastaProvider(str(tmp_path), program="true").furnish(Sandbox(container="c"), 1)


def test_a_release_of_nothing_is_fine_and_strangers_live_on(tmp_path: Path) -> None:
    provider: Provider = pasta.PastaProvider(str(tmp_path))
    provider.release("c")
    (tmp_path / "c.pid").write_text("1\n")  # by now somebody else's number
    provider.release("c")
    assert list(tmp_path.iterdir()) == []


def test_the_hands_are_a_provider_too() -> None:
    provider: type[Provider] = NetworkHands
    assert provider.furnish
