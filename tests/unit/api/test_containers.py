"""Containers through the door."""

from __future__ import annotations

import base64
import json
import socket
import time

import pytest

from lodge.api.shapes_containers import status_line
from lodge.engine.models import ContainerState, ExitResult, Health
from lodge.spec.container import EndpointSettings, PortBinding
from tests.unit.api.conftest import Door
from tests.unit.api.fakes import SECOND, container
from tests.unit.http.running import answer


def test_create_and_its_errors(door: Door) -> None:
    made = door.post("/containers/create?name=one&platform=linux/amd64", {"Image": "busybox", "Cmd": "x"})
    assert made["Warnings"] == ["careful"]
    name, wish, platform = door.engine.containers.asked[0]
    assert (name, wish.config.cmd, platform) == ("one", ["x"], "linux/amd64")
    assert door.error("POST", "/containers/create", {"Image": "no"}) == (404, "No such image: no:latest")
    assert door.error("POST", "/containers/create?name=one", {"Image": "busybox"})[0] == 409
    status, message = door.error("POST", "/containers/create")
    assert (status, message) == (400, "invalid JSON: got EOF while reading request body")
    status, _, body = door.request("POST", "/containers/create", {"Image": "a"}, Content_Type="text/plain")
    assert status == 400
    assert b"must be 'application/json'" in body


def test_body_over_the_limit(door: Door) -> None:
    status, _, _ = door.request("POST", "/containers/create", b'{"Image":"' + b"x" * (5 << 20) + b'"}')
    assert status == 413


def test_inspect_has_dockers_members(door: Door) -> None:
    door.engine.containers.add(container(status="running", pid=7, started_at=5 * SECOND))
    found = door.get("/containers/one/json?size=1")
    assert found["Created"] == "2023-11-14T22:13:20.00000012Z"
    assert found["Name"] == "/one"
    assert found["ExecIDs"] is None
    assert found["State"]["StartedAt"] == "1970-01-01T00:00:05Z"
    assert found["State"]["FinishedAt"] == "0001-01-01T00:00:00Z"
    assert "Health" not in found["State"]
    assert found["HostConfig"]["ConsoleSize"] == [0, 0]
    assert found["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert found["HostConfig"]["LogConfig"]["Config"] == {}
    assert not {"Mounts", "Sysctls", "Init", "Tmpfs"} & set(found["HostConfig"])
    assert found["Config"]["Volumes"] is None
    assert not {"Healthcheck", "StopSignal", "StopTimeout", "Shell", "OnBuild"} & set(found["Config"])
    assert (found["SizeRw"], found["SizeRootFs"]) == (5, 1000)
    assert set(found["NetworkSettings"]) == {"SandboxID", "SandboxKey", "Ports", "Networks"}
    assert "Storage" in found


def test_inspect_of_older_versions(door: Door) -> None:
    one = door.engine.containers.add(container())
    one.networks["mine"] = EndpointSettings()
    found = door.get("/v1.43/containers/one/json")
    assert "GraphDriver" in found
    assert found["NetworkSettings"]["IPAddress"] == ""
    assert found["NetworkSettings"]["HairpinMode"] is False
    assert found["Config"]["OnBuild"] is None
    assert one.id[:12] in found["NetworkSettings"]["Networks"]["mine"]["Aliases"]
    assert found["NetworkSettings"]["Networks"]["none"]["Aliases"] is None


def test_list(door: Door) -> None:
    door.engine.containers.add(container(health=Health(status="healthy"), status="running"))
    line = door.get("/containers/json?all=1&limit=3&filters=%7B%22label%22%3A%5B%22a%22%5D%7D")[0]
    assert door.engine.containers.asked[-1] == (True, 3, {"label": ["a"]})
    assert line["Names"] == ["/one"]
    assert line["Command"] == "sh -c 'echo hi'"
    assert line["Health"] == {"Status": "healthy", "FailingStreak": 0}
    assert "SizeRw" not in line
    assert "Health" not in door.get("/v1.51/containers/json")[0]
    assert door.get("/containers/json?size=1")[0]["SizeRootFs"] == 1000
    assert door.error("GET", "/containers/json?limit=x")[0] == 400
    assert door.error("GET", "/containers/json?filters=x") == (400, "invalid filter")


@pytest.mark.parametrize(
    ("state", "line"),
    [
        ({"status": "created"}, "Created"),
        ({"status": "running", "started_at": 97}, "Up 3 seconds"),
        ({"status": "running", "started_at": 10, "health": Health()}, "Up About a minute (health: starting)"),
        (
            {"status": "running", "started_at": 99, "health": Health(status="unhealthy")},
            "Up 1 second (unhealthy)",
        ),
        ({"status": "paused", "started_at": 40}, "Up About a minute (Paused)"),
        ({"status": "exited", "exit_code": 137, "finished_at": 60}, "Exited (137) 40 seconds ago"),
        (
            {"status": "restarting", "exit_code": 1, "finished_at": 99.5},
            "Restarting (1) Less than a second ago",
        ),
        ({"status": "dead"}, "Dead"),
        ({"status": "removing"}, "Removal In Progress"),
    ],
)
def test_status_lines(state: dict[str, object], line: str) -> None:
    for name in ("started_at", "finished_at"):
        if name in state:
            state[name] = int(float(str(state[name])) * SECOND)
    assert status_line(ContainerState(**state), 100 * SECOND) == line  # type: ignore[arg-type]


def test_life(door: Door) -> None:
    door.engine.containers.add(container())
    assert door.request("POST", "/containers/one/start")[0] == 204
    assert door.request("POST", "/containers/one/start")[0] == 304
    assert door.error("POST", "/containers/one/start", {"x": "1234567"})[0] == 400
    door.post("/containers/one/stop?t=3&signal=INT")
    door.post("/v1.41/containers/one/restart?t=-1&signal=INT")
    assert door.engine.containers.asked == [("INT", 3), (None, -1)]
    assert door.error("POST", "/containers/one/stop?t=x")[0] == 400
    message = "cannot kill container: one: container one is not running"
    assert door.error("POST", "/containers/one/kill") == (409, message)
    assert door.error("POST", "/containers/one/rename") == (400, "Neither old nor new names may be empty")
    door.post("/containers/one/rename?name=two")
    assert door.request("DELETE", "/containers/one?force=1&v=true")[0] == 204
    assert door.engine.containers.asked[-2:] == ["two", (True, True, False)]
    assert door.error("GET", "/containers/one/json") == (404, "No such container: one")


def test_update_sends_only_what_was_given(door: Door) -> None:
    body = {"memory": 5, "CpuShares": 0, "PidsLimit": -1, "BlkioDeviceReadBps": [{"Path": "/x", "Rate": 1}]}
    assert door.post("/containers/one/update", body | {"RestartPolicy": {"Name": "always"}}) == {
        "Warnings": None
    }
    limits, restart = door.engine.containers.asked[-1]
    assert limits["Memory"] == 5
    assert limits["PidsLimit"] == 0
    assert "CpuShares" not in limits
    assert limits["BlkioDeviceReadBps"] == [{"Path": "/x", "Rate": 1}]
    assert restart.name == "always"
    door.post("/v1.54/containers/one/update", body)
    assert set(door.engine.containers.asked[-1][0]) == {"Memory", "PidsLimit"}


def test_update_of_ports_and_rates_is_an_addition(door: Door) -> None:
    body = {
        "PortBindings": {"80/tcp": [{"HostPort": "8080"}], "81/tcp": []},
        "Annotations": {"io.lodge.egress": "1mbit"},
    }
    door.post("/containers/one/update", body)
    asked = door.engine.containers.asked[-1]
    assert [one.host_port for one in asked.port_bindings["80/tcp"]] == ["8080"]
    assert asked.port_bindings["81/tcp"] == []
    assert asked.annotations == {"io.lodge.egress": "1mbit"}


def test_ports_in_answers_are_what_is_bound(door: Door) -> None:
    one = door.engine.containers.add(container(status="running", pid=7))
    one.sandbox_id = "5" * 64
    one.wish.config.exposed_ports = {"80/tcp": {}, "81/tcp": {}}
    one.wish.networking.endpoints_config = {"none": EndpointSettings(mac_address="02:00:00:00:00:01")}
    shown = door.get("/containers/one/json")["NetworkSettings"]
    assert shown["Ports"] == {}
    assert shown["SandboxKey"] == "/proc/7/ns/net"
    assert shown["Networks"]["none"]["MacAddress"] == "02:00:00:00:00:01"
    one.networks = {"bridge": EndpointSettings(ip_address="172.17.0.2")}
    one.ports = {"80/tcp": [PortBinding(host_ip="0.0.0.0", host_port="8080")]}
    shown = door.get("/containers/one/json")["NetworkSettings"]
    assert shown["Ports"] == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": None}
    assert door.get("/containers/json")[0]["Ports"] == [
        {"IP": "0.0.0.0", "PublicPort": 8080, "PrivatePort": 80, "Type": "tcp"},
        {"PrivatePort": 81, "Type": "tcp"},
    ]


def test_wait_sends_headers_first(door: Door) -> None:
    door.engine.containers.add(container())
    assert door.error("POST", "/containers/no/wait")[0] == 404
    assert door.error("POST", "/containers/one/wait?condition=zz") == (400, 'invalid condition: "zz"')
    door.socket.sendall(b"POST /containers/one/wait?condition=removed HTTP/1.1\r\nHost: d\r\n\r\n")
    time.sleep(0.1)
    head = door.socket.recv(2000)
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert head.endswith(b"\r\n\r\n")
    ending = door.engine.containers.ending
    assert ending
    door.running.loop.call_soon_threadsafe(ending.set_result, ExitResult(exit_code=3, error="bad"))
    time.sleep(0.1)
    assert b'{"StatusCode":3,"Error":{"Message":"bad"}}' in door.socket.recv(2000)
    assert door.engine.containers.asked[-1] == "removed"


def test_logs(door: Door) -> None:
    door.engine.containers.add(container())
    assert door.error("GET", "/containers/one/logs")[0] == 400
    status, headers, body = door.request("GET", "/containers/one/logs?stdout=1&tail=5&since=1.5&timestamps=1")
    assert (status, body) == (200, b"\x01\0\0\0\0\0\0\x03one")
    assert headers["content-type"] == "application/vnd.docker.multiplexed-stream"
    query = door.engine.containers.asked[-1]
    assert (query.tail, query.since, query.timestamps, query.stderr) == (5, 1_500_000_000, True, False)
    _, headers, _ = door.request("GET", "/v1.41/containers/one/logs?stderr=1&tail=zz")
    assert headers["content-type"] == "application/vnd.docker.raw-stream"
    assert door.engine.containers.asked[-1].tail == -1


def test_stats(door: Door) -> None:
    door.engine.containers.add(container())
    found = door.get("/containers/one/stats?stream=0")
    assert found["pids_stats"] == {"current": 1}
    assert found["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert found["preread"] == "0001-01-01T00:00:00Z"
    with door.running.connect() as client:
        client.sendall(b"GET /containers/one/stats HTTP/1.1\r\nHost: d\r\n\r\n")
        time.sleep(0.2)
        assert client.recv(65536).count(b'"read"') > 2


@pytest.mark.parametrize("path", ["/containers/one/attach?stream=1&stdout=1", "/exec/e/start"])
@pytest.mark.parametrize("upgrade", [True, False])
def test_attach_and_exec_give_the_connection_away(door: Door, path: str, upgrade: bool) -> None:
    door.engine.containers.add(container())
    with door.running.connect() as client:
        lines = b"Connection: Upgrade\r\nUpgrade: tcp\r\n" if upgrade else b""
        body = b'{"Detach":false,"Tty":false}' if path.startswith("/exec") else b""
        head = f"POST {path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n".encode()
        client.sendall(head + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body + b"early")
        data = b""
        while piece := client.recv(2000):
            data += piece
    start, _, rest = data.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 101 UPGRADED" if upgrade else b"HTTP/1.1 200 OK")
    kind = b"multiplexed" if upgrade else b"raw"
    assert b"Content-Type: application/vnd.docker.%b-stream" % kind in start
    assert rest.endswith(b" early")


def test_attach_errors_come_before_the_upgrade(door: Door) -> None:
    assert door.error("POST", "/containers/no/attach?stream=1") == (404, "No such container: no")


def test_attach_over_websocket(door: Door) -> None:
    door.engine.containers.add(container())
    with door.running.connect() as client:
        client.sendall(
            b"GET /containers/one/attach/ws?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        data = b""
        while piece := client.recv(2000):
            data += piece
    assert b"\x82\x09attached " in data
    assert door.engine.containers.asked[-1][1] is False


def test_exec(door: Door) -> None:
    assert door.error("POST", "/containers/one/exec", {"Cmd": []}) == (400, "No exec command specified")
    made = door.post(
        "/containers/one/exec", {"Cmd": ["a", "b"], "Tty": True, "Env": None, "ConsoleSize": [4, 5]}
    )
    wish = door.engine.execs.asked[-1]
    assert (wish.command, wish.window) == (["a", "b"], (4, 5))
    found = door.get(f"/exec/{made['Id']}/json")
    assert found["ProcessConfig"] == {"tty": True, "entrypoint": "a", "arguments": ["b"], "privileged": False}
    assert found["ExitCode"] is None
    assert door.request("POST", f"/exec/{made['Id']}/start", {"Detach": True})[0] == 200
    assert door.error("POST", f"/exec/{made['Id']}/resize?h=1") == (
        400,
        'invalid resize width "": invalid syntax',
    )


def test_files(door: Door) -> None:
    status, headers, body = door.request("GET", "/containers/one/archive?path=/etc")
    assert (status, body, headers["content-type"]) == (200, b"tar bytes", "application/x-tar")
    stat = json.loads(base64.b64decode(headers["x-docker-container-path-stat"]))
    assert stat == {
        "name": "passwd", "size": 75, "mode": 420, "mtime": "2026-01-01T00:00:00Z", "linkTarget": ""
    }  # fmt: skip
    status, headers, body = door.request("GET", "/containers/one/archive?path=/etc", Accept_Encoding="gzip")
    assert headers["content-encoding"] == "gzip"
    assert body.startswith(b"\x1f\x8b")
    assert door.error("GET", "/containers/one/archive")[1] == "bad parameter: path cannot be empty"
    status, _, _ = door.request("PUT", "/containers/one/archive?path=/x&noOverwriteDirNonDir=1", b"tar")
    assert status == 200
    assert door.engine.containers.asked[-1] == ("/x", b"tar", True, False)


def test_a_failed_export_is_seen(door: Door) -> None:
    with door.running.connect() as client:
        client.sendall(b"GET /containers/one/export HTTP/1.1\r\nHost: d\r\n\r\n")
        with pytest.raises((ValueError, ConnectionError)):
            answer(client)


def test_commit_and_prune(door: Door) -> None:
    made = door.post("/commit?container=one&repo=a/b&tag=t&pause=0&changes=CMD+x&author=me", {"Env": ["a=b"]})
    assert made == {"Id": "sha256:" + "2" * 64}
    asked = door.engine.containers.asked[-1]
    assert asked["reference"] == "a/b:t"
    assert asked["config"] == {"Env": ["a=b"]}
    assert asked["changes"] == ["CMD x"]
    assert asked["pause"] is False
    assert door.error("POST", "/commit?container=one&repo=FOO")[0] == 400
    assert door.post("/containers/prune") == {"ContainersDeleted": None, "SpaceReclaimed": 3}


def test_vanished_followers_leave_nothing(door: Door) -> None:
    door.engine.containers.add(container())
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(door.running.path)
            client.sendall(b"GET /containers/one/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: d\r\n\r\n")
            client.recv(100)
    time.sleep(0.2)
    assert not [one for one in door.running.server.connections if one.busy]
