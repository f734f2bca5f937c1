"""Images, volumes, networks and the system through the door."""

from __future__ import annotations

import base64
import json

from lodge.api.shapes_images import human_size, progress
from lodge.api.times import rfc3339, span
from lodge.engine.models import Progress
from tests.unit.api.conftest import Door


def test_list_and_inspect(door: Door) -> None:
    line = door.get("/images/json?all=1&shared-size=1")[0]
    assert line["RepoTags"] == ["busybox:latest"]
    assert line["Labels"] == {"l": "1"}
    assert "VirtualSize" not in line
    assert door.engine.images.asked[-1]["shared_size"] is True
    old = door.get("/v1.40/images/json")[0]
    assert (old["VirtualSize"], old["Containers"]) == (100, -1)
    found = door.get("/images/busybox/json")
    assert found["Config"] == {"Cmd": ["sh"], "Labels": {"l": "1"}}
    assert "Parent" not in found
    old = door.get("/v1.44/images/busybox/json")
    assert old["Config"]["Hostname"] == ""
    assert old["Parent"] == ""
    assert old["Container"] == ""
    assert door.error("GET", "/images/no/json") == (404, "No such image: no:latest")
    platform = "%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22arm64%22%7D"
    door.get(f"/images/busybox/json?platform={platform}")
    assert door.engine.images.asked[-1] == ("busybox", "linux/arm64")
    assert door.error("GET", "/images/busybox/json?platform=%7B%7D")[0] == 400


def test_tag_remove_history(door: Door) -> None:
    assert door.request("POST", "/images/busybox/tag?repo=foo&tag=bar")[0] == 201
    assert door.engine.images.asked[-1] == "foo:bar"
    message = "invalid reference format: repository name (library/FOO) must be lowercase"
    assert door.error("POST", "/images/busybox/tag?repo=FOO") == (400, message)
    assert door.error("POST", "/images/busybox/tag?repo=sha256")[0] == 400
    status, _, body = door.request("DELETE", "/images/busybox")
    assert status == 200
    assert json.loads(body) == [{"Untagged": "busybox:latest"}, {"Deleted": "sha256:1"}]
    assert door.get("/images/busybox/history")[0]["Tags"] is None


def test_save_load_import(door: Door) -> None:
    assert door.request("GET", "/images/get?names=a&names=b,c")[2] == b"saved"
    assert door.engine.images.asked[-1] == (["a", "b", "c"], None)
    assert door.request("GET", "/images/x/y:z/get")[2] == b"saved"
    assert door.engine.images.asked[-1] == (["x/y:z"], None)
    status, _, body = door.request("POST", "/images/load", b"12345")
    assert status == 200
    assert [json.loads(line) for line in body.splitlines()] == [
        {"stream": "Loaded 5\n"},
        {"errorDetail": {"message": "broken in the middle"}, "error": "broken in the middle"},
    ]
    assert (
        door.request("POST", "/images/create?fromSrc=-&repo=r&changes=CMD+x", b"tar")[2]
        == b'{"status":"3"}\r\n'
    )
    assert door.engine.images.asked[-1]["reference"] == "r:latest"
    assert door.engine.images.asked[-1]["message"] == "Imported from -"


def test_pull_fails_before_its_stream(door: Door) -> None:
    assert door.error("POST", "/images/create?fromImage=a/b&tag=c") == (404, "pull access denied")
    assert door.engine.images.asked[-1][0] == "a/b:c"
    digest = "sha256:" + "0" * 64
    door.error("POST", f"/images/create?fromImage=a&tag={digest}")
    assert door.engine.images.asked[-1][0] == f"a@{digest}"
    auth = base64.urlsafe_b64encode(b'{"username":"u"}').decode()
    door.request("POST", "/images/create?fromImage=a", X_Registry_Auth=auth)
    assert door.engine.images.asked[-1][1]["auth"] == {"username": "u"}
    door.request("POST", "/images/create?fromImage=a", X_Registry_Auth="%%%")
    assert door.engine.images.asked[-1][1]["auth"] is None
    assert door.error("POST", "/images/create?fromImage=scratch")[0] == 403
    assert door.error("POST", "/images/create?fromImage=A")[0] == 400


def test_bootstrap(door: Door) -> None:
    _, _, body = door.request("POST", "/lodge/images/bootstrap?image=debian:bookworm&suite=sid")
    assert json.loads(body)["progressDetail"] == {"current": 1, "total": 2}
    assert door.engine.images.asked[-1] == ("debian:bookworm", "sid", None)


def test_progress_lines() -> None:
    assert progress(Progress(status="Done", id="x")) == {"status": "Done", "progressDetail": {}, "id": "x"}
    assert progress(Progress(aux={"ID": "y"})) == {"aux": {"ID": "y"}}
    bar = progress(Progress(status="s", current=50_000, total=100_000))["progress"]
    assert bar.endswith("50kB/100kB")
    assert bar.startswith("[=========================>")
    assert human_size(1_234_567) == "1.235MB"


def test_volumes(door: Door) -> None:
    made = door.post("/volumes/create", {"Name": "n", "DriverOpts": {"a": "b"}, "Labels": None})
    assert made["CreatedAt"] == "1970-01-01T00:00:05Z"
    assert door.engine.volumes.asked[-1] == ("n", "local", {"a": "b"}, {})
    door.post("/volumes/create")
    assert door.get("/volumes")["Warnings"] is None
    assert door.error("GET", "/volumes/nope") == (404, "get nope: no such volume")
    assert door.request("DELETE", "/volumes/n")[0] == 204
    door.post("/v1.41/volumes/prune")
    assert door.engine.volumes.asked[-1] == {"all": ["true"]}
    assert door.post("/volumes/prune") == {"VolumesDeleted": ["v"], "SpaceReclaimed": 1}


def test_networks(door: Door) -> None:
    assert [one["Name"] for one in door.get("/networks")] == ["bridge", "host", "none"]
    assert door.get("/networks/none")["Driver"] == "null"
    assert door.get("/networks/" + door.get("/networks/host")["Id"][:9])["Name"] == "host"
    assert door.error("GET", "/networks/nope") == (404, "network nope not found")
    assert door.post("/networks/prune") == {"NetworksDeleted": None}


def test_a_network_of_ones_own(door: Door) -> None:
    asked = {
        "Name": "mine",
        "EnableIPv6": True,
        "IPAM": {"Config": [{"Subnet": "10.1.0.0/16", "IPRange": "10.1.2.0/24"}]},
        "Labels": {"a": "b"},
        "Options": {"com.docker.network.driver.mtu": "1400"},
    }
    made = door.post("/networks/create", asked)
    found = door.get(f"/networks/{made['Id']}")
    assert found["IPAM"]["Config"] == [{"Subnet": "10.1.0.0/16", "IPRange": "10.1.2.0/24"}]
    assert (found["Name"], found["Driver"], found["Scope"]) == ("mine", "bridge", "local")
    assert (found["EnableIPv4"], found["EnableIPv6"], found["Internal"]) == (True, True, False)
    assert (found["Labels"], found["ConfigFrom"]) == ({"a": "b"}, {"Network": ""})
    door.post("/networks/mine/connect", {"Container": "one", "EndpointConfig": {"Aliases": ["x"]}})
    assert door.engine.networks.asked[-1][:2] == ("mine", "one")
    assert door.engine.networks.asked[-1][2].aliases == ["x"]
    assert door.error("POST", "/networks/mine/disconnect", {})[0] == 400
    assert door.get("/networks/mine")["Containers"]["c1"]["IPv4Address"] == "10.1.0.2/16"
    assert "Status" not in door.get("/v1.51/networks/mine")


def test_events(door: Door) -> None:
    _, headers, body = door.request("GET", "/events?since=1&until=2")
    assert headers["content-type"] == "application/jsonl"
    assert json.loads(body) == {
        "Type": "container", "Action": "start", "Actor": {"ID": "c", "Attributes": {"image": "i"}},
        "scope": "local", "time": 1, "timeNano": 1000000000,
    }  # fmt: skip
    assert door.engine.system.asked[-1] == (1_000_000_000, 2_000_000_000, {})
    _, headers, body = door.request("GET", "/v1.51/events")
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["from"] == "i"
    _, headers, body = door.request("GET", "/events", Accept="application/json-seq")
    assert body.startswith(b"\x1e{")
    assert door.error("GET", "/events?since=5&until=2")[0] == 400


def test_disk_usage_in_both_layouts(door: Door) -> None:
    old = door.get("/v1.51/system/df")
    assert set(old) == {"LayersSize", "Images", "Containers", "Volumes", "BuildCache"}
    assert old["Volumes"][0]["UsageData"] == {"RefCount": 0, "Size": 7}
    assert old["Containers"][0]["SizeRw"] == 5
    both = door.get("/system/df")
    assert both["VolumeUsage"] == {"TotalCount": 1, "TotalSize": 7, "Reclaimable": 7}
    assert "Images" in both
    new = door.get("/system/df?verbose=1&type=image")
    assert set(new) == {"ImageUsage"}
    assert len(new["ImageUsage"]["Items"]) == 1
    assert door.engine.system.asked[-1] == {"image"}
    assert door.error("GET", "/system/df?type=x") == (400, "unknown object type: x")


def test_info_by_version(door: Door) -> None:
    assert "NRI" in door.get("/info")
    old = door.get("/v1.43/info")
    assert "NRI" not in old
    assert old["Runtimes"] == {"lodge": {"path": "lodge"}}
    assert old["RuncCommit"] == {"ID": "", "Expected": ""}


def test_times() -> None:
    assert rfc3339(0) == "0001-01-01T00:00:00Z"
    assert rfc3339(1_500_000_000) == "1970-01-01T00:00:01.5Z"
    hour = 3600
    assert [span(s) for s in (0.5, 60, 59 * 60, hour, 47 * hour, 300 * hour, 1000 * hour, 9000 * hour)] == [
        "Less than a second", "About a minute", "59 minutes", "About an hour", "47 hours", "12 days",
        "5 weeks", "12 months",
    ]  # fmt: skip
    assert span(20000 * hour) == "2 years"
