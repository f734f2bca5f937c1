"""POST /build: its parameters, its stream, its failures."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from lodge.build import contract as c
from lodge.build.failures import StepFailed
from lodge.errors import InvalidArgument
from lodge.spec.image import ImageConfig
from tests.unit.api.conftest import Door

ID = "sha256:" + "d" * 64


def build(door: Door, body: bytes = b"tar", path: str = "/build", **query: Any) -> tuple[int, list[Any]]:
    texts = {
        key: json.dumps(value) if isinstance(value, (dict, list)) else value for key, value in query.items()
    }
    status, _, data = door.request("POST", f"{path}?{urlencode(texts, quote_via=quote)}", body)
    return status, [json.loads(line) for line in data.splitlines() if line.strip()]


def built() -> c.Built:
    image = c.BuiltImage(platform="linux/amd64", config_digest=ID, config=ImageConfig())
    return c.Built(images=[image], names=("docker.io/library/x:latest",))


def test_every_parameter_arrives(door: Door) -> None:
    build(
        door, t="x:1", dockerfile="a/D", target="s", nocache="1", pull="1", buildargs={"A": "1", "B": None},
        labels={"l": "v"}, networkmode="none", platform="linux/arm64", extrahosts="h:1.2.3.4,i:5.6.7.8",
        shmsize="9", memory="10", memswap="11", cpushares="12", cpuperiod="13", cpuquota="14", cpusetcpus="0",
        cgroupparent="/g", ulimits=[{"Name": "nofile", "Soft": 1, "Hard": 2}],
    )  # fmt: skip
    (request,) = door.engine.builds.requests
    options = request.options
    assert (request.filename, request.outputs[0].names) == ("a/D", ("x:1",))
    assert (options.target, options.no_cache, options.pull, options.network) == ("s", True, True, "none")
    assert (options.arguments, options.labels) == ({"A": "1"}, {"l": "v"})
    assert (options.platforms, options.extra_hosts) == (("linux/arm64",), ("h:1.2.3.4", "i:5.6.7.8"))
    assert (options.shm_size, options.memory, options.memory_swap, options.cpu_shares) == (9, 10, 11, 12)
    assert (options.cpu_period, options.cpu_quota, options.cpuset_cpus) == (13, 14, "0")
    assert (options.cgroup_parent, options.ulimits) == ("/g", (c.Ulimit("nofile", 1, 2),))
    assert options.entitlements == {"network.host"}
    assert door.engine.builds.received == b"tar"


def test_the_stream_and_the_end_of_the_context(door: Door) -> None:
    door.engine.builds.events = [
        c.Planned(steps=[], instructions=[c.Instruction(code="FROM x", step="s")]),
        c.Finished(step="s", result=ID),
        built(),
    ]
    status, lines = build(door)
    assert status == 200
    assert [line.get("stream") for line in lines] == [
        "Step 1/1 : FROM x\n", f" ---> {'d' * 12}\n", None, f"Successfully built {'d' * 12}\n",
        "Successfully tagged x:latest\n",
    ]  # fmt: skip
    assert lines[2] == {"aux": {"ID": ID}}
    assert door.engine.builds.context.closed


def test_failures_before_and_in_the_stream(door: Door) -> None:
    door.engine.builds.failure = InvalidArgument("dockerfile parse error on line 1: nonsense")
    assert build(door)[0] == 400
    door.engine.builds.events = [c.Planned(steps=[], instructions=[c.Instruction(code="RUN x", step="s")])]
    door.engine.builds.failure = StepFailed("bad", step="s", name="RUN x", command="x", exit_code=4)
    status, lines = build(door)
    assert status == 200
    assert lines[-1]["errorDetail"] == {
        "code": 4,
        "message": "The command 'x' returned a non-zero code: 4",
    }


def test_events_as_they_are(door: Door) -> None:
    door.engine.builds.events = [c.Log(step="s", stream=1, data=b"\xff"), built()]
    door.engine.builds.failure = StepFailed("bad", step="s", name="RUN x", lines=(1, 1), log=b"log")
    secrets = base64.b64encode(json.dumps({"k": base64.b64encode(b"v").decode()}).encode()).decode()
    status, _, data = door.request("POST", "/lodge/build", b"tar", x_lodge_build_secrets=secrets)
    lines = [json.loads(line) for line in data.splitlines()]
    assert status == 200
    assert [line["type"] for line in lines] == ["Log", "Built", "Failed"]
    assert base64.b64decode(lines[0]["data"]) == b"\xff"
    assert base64.b64decode(lines[2]["log"]) == b"log"
    assert door.engine.builds.requests[0].secrets._values == {"k": b"v"}


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({"squash": "1"}, 400, "squash is only supported with experimental mode"),
        ({"buildargs": "{"}, 400, "error reading buildargs"),
        ({"buildargs": '{"A":1}'}, 400, "the values are texts"),
        ({"labels": "[]"}, 400, "unexpected JSON"),
        ({"ulimits": '[{"Name":"x"}]'}, 400, "error reading ulimit settings"),
        ({"networkmode": "container:x"}, 501, "can't join a container's network"),
        ({"isolation": "hyperv"}, 400, "Unsupported isolation"),
        ({"outputs": '[{"Type":"local"}]'}, 501, "needs a session"),
        ({"remote": "client-session"}, 501, "session"),
        ({"buildargs": '{"SOURCE_DATE_EPOCH":"now"}'}, 400, "invalid SOURCE_DATE_EPOCH"),
    ],
)
def test_what_is_refused(door: Door, query: dict[str, str], status: int, message: str) -> None:
    found, text = door.error("POST", f"/build?{urlencode(query)}", b"")
    assert (found, message in text) == (status, True), text


def test_cancel_and_prune(door: Door) -> None:
    assert door.error("POST", "/build/cancel") == (400, "build ID not provided")
    door.post("/build/cancel?id=x")
    assert door.engine.builds.cancelled == ["x"]
    door.post("/build/prune?all=1&reserved-space=5&filters=" + quote('{"id":["a"]}'))
    assert door.engine.builds.pruned == {"filters": {"id": ["a"]}, "all": True, "keep": 5, "most": 0}


def test_registries_are_read_from_the_header(door: Door) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"r.test": {"username": "u"}}).encode()).decode()
    door.request("POST", "/build", b"", x_registry_config=header)
    door.request("POST", "/build", b"", x_registry_config="???")
    assert [request.credentials for request in door.engine.builds.requests] == [
        {"r.test": {"username": "u"}},
        {},
    ]
