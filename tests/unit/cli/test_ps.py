"""The list of containers: columns, ports, templates."""

import json
import time

import pytest

from lodge.cli.verbs.ps import columns, describe_ports
from tests.unit.cli.conftest import Lodge
from tests.unit.fake_engine import FakeEngine, Reply

ID = "0123456789ab" + "c" * 52


@pytest.fixture
def listed(engine: FakeEngine) -> FakeEngine:
    item = {
        "Id": ID,
        "Names": ["/web", "/other/alias"],
        "Image": "busybox",
        "ImageID": "sha256:" + "e" * 64,
        "Command": "sh -c 'sleep 1d; echo \"x\"'",
        "Created": int(time.time()) - 130,
        "Ports": [{"PrivatePort": 80, "PublicPort": 8080, "IP": "0.0.0.0", "Type": "tcp"}],
        "Labels": {"b": "2", "a.b-c": "1"},
        "State": "running",
        "Status": "Up 2 minutes",
        "Mounts": [{"Name": "data", "Driver": "local"}, {"Source": "/a/rather/long/source/path"}],
        "NetworkSettings": {"Networks": {"none": {}}},
        "SizeRw": 1234,
        "SizeRootFs": 5678901,
    }
    engine.on("GET", "/containers/json", Reply([item]))
    return engine


def test_the_table(lodge: Lodge, listed: FakeEngine) -> None:
    result = lodge("ps")
    assert result.code == 0
    header, row = result.out.splitlines()
    assert header == (
        "CONTAINER ID   IMAGE     COMMAND                  CREATED         STATUS         PORTS"
        "                  NAMES"
    )
    assert row == (
        '0123456789ab   busybox   "sh -c \'sleep 1d; ec…"   2 minutes ago   Up 2 minutes   '
        "0.0.0.0:8080->80/tcp   web"
    )
    assert listed.requests[0].query == {}


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        (["-a"], {"all": "1"}),
        (["-n", "3"], {"all": "1", "limit": "3"}),
        (["-l"], {"all": "1", "limit": "1"}),
        (["-s"], {"size": "1"}),
        (["--format", "{{.Size}}"], {"size": "1"}),
        (
            ["-f", "status=exited", "-f", "label=a=b", "-f", "status=dead"],
            {"filters": '{"status":["exited","dead"],"label":["a=b"]}'},
        ),
    ],
)
def test_what_is_asked(lodge: Lodge, listed: FakeEngine, arguments: list[str], query: dict[str, str]) -> None:
    assert lodge("ps", *arguments).code == 0
    assert listed.requests[0].query == query


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (["-q"], "0123456789ab\n"),
        (["-q", "--no-trunc"], ID + "\n"),
        (["--format", "{{.Names}} {{.State}}"], "web running\n"),
        (["--no-trunc", "--format", "{{.Names}}"], "web,other/alias\n"),
        (["--format", '{{.Label "b"}}-{{.Labels}}'], "2-a.b-c=1,b=2\n"),
        (["--format", "{{.Mounts}} {{.LocalVolumes}} {{.Networks}}"], "data,/a/rather/long… 1 none\n"),
        (["-s", "--format", "{{.Size}}"], "1.23kB (virtual 5.68MB)\n"),
        (["--format", 'table {{.ID}}\\t{{.Label "a.b-c"}}'], "CONTAINER ID   b c\n0123456789ab   1\n"),
        (["--format", "table {{upper .State}}"], "STATE\nRUNNING\n"),
    ],
)
def test_formats(lodge: Lodge, listed: FakeEngine, arguments: list[str], out: str) -> None:
    assert lodge("ps", *arguments).out == out


def test_json_holds_every_column(lodge: Lodge, listed: FakeEngine) -> None:
    found = json.loads(lodge("ps", "--format", "json").out)
    assert found["Names"] == "web"
    assert set(found) == set(columns(True)) - {"Label"}


def test_a_broken_template_is_an_error(lodge: Lodge, listed: FakeEngine) -> None:
    result = lodge("ps", "--format", "{{.Nope}}")
    assert result.code == 1
    assert "can't evaluate field Nope" in result.err
    assert lodge("ps", "--format", "{{").err == "template parsing error: template: :1: unclosed action\n"


def port(private: int, public: int = 0, address: str = "", kind: str = "tcp") -> dict[str, object]:
    found: dict[str, object] = {"PrivatePort": private, "Type": kind}
    if public:
        found |= {"PublicPort": public, "IP": address}
    return found


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], ""),
        ([port(80)], "80/tcp"),
        ([port(82), port(80), port(81), port(90)], "80-82/tcp, 90/tcp"),
        ([port(53, kind="udp"), port(53)], "53/tcp, 53/udp"),
        ([port(80, 8080, "0.0.0.0"), port(80, 8080, "::")], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ([port(80, 8080, "1.1.1.1"), port(81, 8081, "1.1.1.1")], "1.1.1.1:8080-8081->80-81/tcp"),
        (
            [port(80, 8080, "1.1.1.1"), port(81, 9000, "1.1.1.1")],
            "1.1.1.1:8080->80/tcp, 1.1.1.1:9000->81/tcp",
        ),
    ],
)
def test_ports(ports: list[dict[str, object]], text: str) -> None:
    assert describe_ports(ports) == text
