"""JSON as Go's decoder would read it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.api import bodies, create_request
from lodge.errors import InvalidArgument, LodgeError
from lodge.spec.container import ContainerConfig, HostConfig


def test_any_case_nulls_and_unknown_members() -> None:
    config = bodies.decode(
        b'{"image":"a","HOSTNAME":null,"Cmd":"one word","entrypoint":["x"],"Zzz":5,'
        b'"Labels":{"A":"b","c":null},'
        b'"Env":["A=b",null],"ExposedPorts":{"80/tcp":{}},"Healthcheck":{"test":["NONE"],"Interval":null}}',
        ContainerConfig,
    )
    assert config.image == "a"
    assert config.hostname == ""
    assert config.cmd == ["one word"]
    assert config.entrypoint == ["x"]
    assert config.labels == {"A": "b"}
    assert config.env == ["A=b"]
    assert config.exposed_ports == {"80/tcp": {}}
    assert config.healthcheck is not None
    assert config.healthcheck.test == ["NONE"]


def test_nested_lists_of_values() -> None:
    host = bodies.decode(
        b'{"Mounts":[{"type":"bind","BindOptions":{"propagation":"rslave"}}],'
        b'"PortBindings":{"80/tcp":[{"hostport":"8080"}],"81/tcp":null},"BlkioDeviceReadIOps":[{"Path":"/x","Rate":5}]}',
        HostConfig,
    )
    assert host.mounts
    assert host.mounts[0].bind_options
    assert host.mounts[0].bind_options.propagation == "rslave"
    assert host.port_bindings
    assert host.port_bindings["80/tcp"]
    assert host.port_bindings["80/tcp"][0].host_port == "8080"
    assert host.blkio_device_read_iops
    assert host.blkio_device_read_iops[0].rate == 5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "invalid JSON: got EOF while reading request body"),
        (b'{"Image":', "invalid JSON: unexpected EOF"),
        (b'{"Image":"a"} x', "unexpected content after JSON"),
        (b"[]", "invalid JSON: json: cannot unmarshal array into Go value"),
        (b'{"Image":5}', "invalid JSON: "),
        (b"\xff", "invalid JSON: "),
        (b'{"Image":"\xff"}', "invalid JSON: "),
        (b'{"a":' * 100_000, "invalid JSON: "),
    ],
)
def test_refuses(data: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        bodies.decode(data, ContainerConfig)
    assert caught.value.message.startswith(message)


def test_content_type() -> None:
    bodies.check_content_type("", empty=True)
    bodies.check_content_type("application/json; charset=utf-8", empty=False)
    with pytest.raises(InvalidArgument, match="must be 'application/json'"):
        bodies.check_content_type("text/plain", empty=False)
    with pytest.raises(InvalidArgument, match="malformed Content-Type"):
        bodies.check_content_type("", empty=False)


MEMBERS = st.sampled_from(
    ["Image", "Cmd", "Env", "HostConfig", "Mounts", "Binds", "NetworkingConfig", "EndpointsConfig", "Labels",
     "Healthcheck", "PortBindings", "Sysctls", "MacAddress", "Type", "BindOptions", "PidsLimit"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | MEMBERS, inner, max_size=4),
)


@given(JSON, st.integers(24, 56))
def test_never_another_error(value: object, version: int) -> None:
    try:
        create_request.read(json.dumps(value).encode(), version)
    except LodgeError:
        pass
