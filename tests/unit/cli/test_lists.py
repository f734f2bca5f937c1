"""Volumes, networks, disk usage, events, logs and what `inspect` finds."""

import json

import pytest

from lodge.cli.verbs.df import summary
from lodge.cli.verbs.events import describe
from lodge.wire.frames import STDERR, STDOUT, encode
from tests.unit.cli.conftest import Lodge
from tests.unit.fake_engine import FakeEngine, Reply, refusal


def test_volumes(lodge: Lodge, engine: FakeEngine) -> None:
    volumes = [
        {"Name": name, "Driver": "local", "Mountpoint": f"/v/{name}", "Scope": "local", "Labels": {"k": "v"}}
        for name in ("b", "a")
    ]
    engine.on("GET", "/volumes", Reply({"Volumes": volumes, "Warnings": None}))
    engine.on("POST", "/volumes/create", Reply({"Name": "a"}, 201))
    assert lodge("volume", "ls").out == "DRIVER    VOLUME NAME\nlocal     a\nlocal     b\n"
    assert lodge("volume", "ls", "-q").out == "a\nb\n"
    assert lodge("volume", "ls", "--format", '{{.Label "k"}}{{.Labels}} {{.Size}}').out == "vk=v N/A\n" * 2
    assert lodge("volume", "create", "-o", "type=tmpfs", "--label", "x=y", "a").out == "a\n"
    assert engine.requests[-1].json() == {
        "Name": "a",
        "Driver": "local",
        "DriverOpts": {"type": "tmpfs"},
        "Labels": {"x": "y"},
    }


def test_networks(lodge: Lodge, engine: FakeEngine) -> None:
    item = {
        "Id": "f" * 64,
        "Name": "none",
        "Driver": "null",
        "Scope": "local",
        "Created": "2026-01-01T00:00:00Z",
    }
    engine.on("GET", "/networks", Reply([item]))
    engine.on("POST", "/networks/create", Reply({"Id": "n" * 64, "Warning": ""}, 201))
    engine.on("POST", "/networks/net/connect", Reply(status=200))
    assert lodge("network", "ls").out.splitlines()[1].split() == ["f" * 12, "none", "null", "local"]
    assert lodge("network", "ls", "--format", "{{.IPv4}} {{.IPv6}} {{.Internal}}").out == "true false false\n"
    words = (
        "--subnet",
        "10.1.0.0/16",
        "--gateway",
        "10.1.0.1",
        "--aux-address",
        "r=10.1.0.9",
        "--internal",
        "net",
    )
    assert lodge("network", "create", *words).out == "n" * 64 + "\n"
    body = engine.requests[-1].json()
    assert body["IPAM"]["Config"] == [
        {"Subnet": "10.1.0.0/16", "Gateway": "10.1.0.1", "AuxiliaryAddresses": {"r": "10.1.0.9"}}
    ]
    assert body["Internal"] is True
    result = lodge("network", "create", "--subnet", "10.1.0.0/16", "--gateway", "10.2.0.1", "net")
    assert result.err == "no matching subnet for gateway 10.2.0.1\n"
    assert lodge("network", "connect", "--ip", "10.1.0.5", "--alias", "x", "net", "web").code == 0
    assert engine.requests[-1].json() == {
        "Container": "web",
        "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.1.0.5"}, "Aliases": ["x"]},
    }


def image(letter: str, size: int, containers: int, tags: list[str] | None) -> dict[str, object]:
    known = {"SharedSize": 0, "Created": 0}
    return {**known, "Id": f"sha256:{letter * 64}", "Size": size, "Containers": containers, "RepoTags": tags}


def container(name: str, state: str, size: int) -> dict[str, object]:
    known = {"Image": "a", "Command": "x", "Created": 0, "Status": state}
    return {**known, "Id": name * 64, "State": state, "Names": [f"/{name}"], "SizeRw": size}


USAGE = {
    "LayersSize": 3000,
    "Images": [image("a", 1000, 1, ["a:1"]), image("b", 2000, 0, None)],
    "Containers": [container("c", "running", 10), container("d", "exited", 30)],
    "Volumes": [{"Name": "v", "UsageData": {"Size": 500, "RefCount": 0}}],
    "BuildCache": [],
}


def test_disk_usage(lodge: Lodge, engine: FakeEngine) -> None:
    assert [(row["TotalCount"], row["Active"], row["Size"], row["Free"]) for row in summary(USAGE)] == [
        (2, 1, 3000, 2000),
        (2, 1, 40, 30),
        (1, 0, 500, 500),
        (0, 0, 0, 0),
    ]
    engine.on("GET", "/system/df", Reply(USAGE))
    lines = lodge("system", "df").out.splitlines()
    assert lines[1].split() == ["Images", "2", "1", "3kB", "2kB", "(66%)"]
    report = lodge("system", "df", "-v").out
    for text in ("Images space usage:", "<none>", '"x"', "500B", "Build cache usage: 0B"):
        assert text in report


def test_events_are_one_line_each(lodge: Lodge, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    event = {
        "Type": "container",
        "Action": "die",
        "Actor": {"ID": "abc", "Attributes": {"name": "web", "exitCode": "3"}},
        "time": 1795475460,
        "timeNano": 1795475460_123456789,
    }
    text = describe(event)
    assert text.endswith(" container die abc (exitCode=3, name=web)")
    assert ".123456789" in text
    engine.on("GET", "/events", Reply(raw=json.dumps(event).encode() + b"\n"))
    assert lodge("events", "--since", "1795475000", "-f", "type=container").out == text + "\n"
    assert engine.requests[0].query == {"since": "1795475000", "filters": '{"type":["container"]}'}
    assert lodge("events", "--format", "{{.Action}} {{.Actor.Attributes.name}}").out == "die web\n"
    assert lodge("events", "--since", "nonsense").code == 1


@pytest.mark.parametrize("tty", [False, True])
def test_logs(lodge: Lodge, engine: FakeEngine, tty: bool) -> None:
    engine.on("GET", "/containers/web/json", Reply({"Id": "w" * 64, "Config": {"Tty": tty}}))
    framed = encode(STDOUT, b"out\n") + encode(STDERR, b"err\n")
    engine.on("GET", f"/containers/{'w' * 64}/logs", Reply(raw=b"raw\r\n" if tty else framed))
    result = lodge("logs", "-t", "-n", "5", "--since", "10", "web")
    assert (result.out, result.err) == (("raw\r\n", "") if tty else ("out\n", "err\n"))
    assert engine.requests[1].query == {
        "stdout": "1",
        "stderr": "1",
        "timestamps": "1",
        "tail": "5",
        "since": "10",
    }


def test_inspect_looks_everywhere(lodge: Lodge, engine: FakeEngine) -> None:
    engine.on("GET", "/", refusal(404, "no such thing"))
    engine.on("GET", "/volumes/data", Reply({"Name": "data"}))
    result = lodge("inspect", "data", "nope")
    assert (result.code, json.loads(result.out)) == (1, [{"Name": "data"}])
    assert result.err == "Error: No such object: nope\n"
    assert [request.path.split("/")[1] for request in engine.requests[:4]] == [
        "containers",
        "images",
        "networks",
        "volumes",
    ]
    assert lodge("inspect", "-f", "{{.Name}}", "data").out == "data\n"
    assert lodge("inspect", "-f", "json", "data").out == '[{"Name":"data"}]\n'
    assert lodge("inspect", "--type", "image", "data").out == "[]\n"
    assert 'unknown type: "node"' in lodge("inspect", "--type", "node", "data").err


def test_looking_into_a_container(lodge: Lodge, engine: FakeEngine) -> None:
    engine.on(
        "GET", "/containers/web/top", Reply({"Titles": ["PID", "CMD"], "Processes": [["1", "sleep 1d"]]})
    )
    engine.on("GET", "/containers/web/changes", Reply([{"Kind": 0, "Path": "/a"}, {"Kind": 2, "Path": "/b"}]))
    bindings = [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]
    ports = {"80/tcp": bindings, "90/tcp": None}
    engine.on("GET", "/containers/web/json", Reply({"NetworkSettings": {"Ports": ports}}))
    assert (
        lodge("top", "web", "-o", "pid,cmd").out == "PID                 CMD\n1                   sleep 1d\n"
    )
    assert engine.requests[0].query == {"ps_args": "-o pid,cmd"}
    assert lodge("diff", "web").out == "C /a\nD /b\n"
    assert lodge("port", "web").out == "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n"
    assert lodge("port", "web", "80").out == "0.0.0.0:8080\n[::]:8080\n"
    assert lodge("port", "web", "90/tcp").err == "Error: No public port '90/tcp' published for web\n"


def test_limits_are_changed(lodge: Lodge, engine: FakeEngine) -> None:
    engine.on("POST", "/containers/web/update", Reply({"Warnings": ["careful"]}))
    result = lodge("update", "-m", "64m", "--cpus", "1.5", "--restart", "on-failure:3", "web")
    assert (result.out, result.err) == ("web\n", "careful\n")
    assert engine.requests[0].json() == {
        "Memory": 64 << 20,
        "NanoCpus": 1_500_000_000,
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
    }
    assert lodge("update", "web").err == "you must provide one or more flags when using this command\n"


def test_information(lodge: Lodge, engine: FakeEngine) -> None:
    info = {"Containers": 3, "NCPU": 2, "MemTotal": 1 << 30, "Warnings": ["no swap"], "Driver": "overlay"}
    security = ["name=seccomp,profile=builtin", "name=cgroupns"]
    engine.on("GET", "/info", Reply({**info, "SecurityOptions": security}))
    engine.on("GET", "/version", Reply({"Version": "1", "Components": [{"Name": "Engine", "Version": "1"}]}))
    result = lodge("info")
    for line in (" Containers: 3", " CPUs: 2", " Total Memory: 1GiB", "  seccomp", "   Profile: builtin"):
        assert line in result.out.splitlines()
    assert result.err == "no swap\n"
    assert lodge("info", "-f", "{{.NCPU}}").out == "2\n"
    assert " Engine:\n  Version:" in lodge("version").out
    assert lodge("version", "-f", "{{.Server.Version}}").out == "1\n"
    engine.on("GET", "/version", refusal(500, "ill"))
    result = lodge("version")
    assert result.code == 1
    assert result.out.startswith("Client: Lodge\n")
    assert result.err == "ill\n"
