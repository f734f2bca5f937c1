"""What a create request of each API version means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lodge.api.create_request import read
from lodge.errors import InvalidArgument
from lodge.spec.container import Wish


def wish(version: int, **host: Any) -> Wish:
    return read(json.dumps({"Image": "a", "HostConfig": host}).encode(), version)[0]


def refuse(version: int, **host: Any) -> str:
    with pytest.raises(InvalidArgument) as caught:
        wish(version, **host)
    return caught.value.message


def test_empty_config() -> None:
    for body in (b"{}", b'{"HostConfig":{}}', b'{"Image":null}'):
        with pytest.raises(InvalidArgument, match="config cannot be empty in order to create a container"):
            read(body, 56)


def test_defaults_by_version() -> None:
    assert wish(56).host.network_mode == "bridge"
    assert wish(56, NetworkMode="default").host.network_mode == "bridge"
    assert wish(39).host.ipc_mode == "shareable"
    assert wish(40).host.ipc_mode == ""
    assert wish(40).host.cgroupns_mode == "host"
    assert wish(41, ConsoleSize=[1, 2]).host.console_size is None
    assert wish(42, ConsoleSize=[1, 2]).host.console_size == [1, 2]
    assert wish(42, Annotations={"a": "b"}).host.annotations is None
    assert wish(56, PidsLimit=-1).host.pids_limit is None
    assert wish(56, PidsLimit=5).host.pids_limit == 5


def test_mounts() -> None:
    strange = {"Type": "bind", "Source": "/a", "Target": "/b", "VolumeOptions": {"NoCopy": True}}
    assert refuse(42, Mounts=[strange]) == 'VolumeOptions must not be specified on mount type "bind"'
    mounts = wish(41, Mounts=[strange]).host.mounts
    assert mounts
    assert mounts[0].volume_options is None
    forced = {"Type": "bind", "BindOptions": {"ReadOnlyForceRecursive": True}}
    assert "needs API v1.44" in refuse(43, Mounts=[forced])
    assert "needs API v1.45" in refuse(44, Mounts=[{"Type": "volume", "VolumeOptions": {"Subpath": "x"}}])
    assert "needs API v1.48" in refuse(47, Mounts=[{"Type": "image"}])
    assert wish(48, Mounts=[{"Type": "image"}]).host.mounts


def test_endpoints() -> None:
    body = {"Image": "a", "NetworkingConfig": {"EndpointsConfig": {"x": {"GwPriority": 5}, "y": None}}}
    with pytest.raises(InvalidArgument, match="multiple network endpoints: x, y"):
        read(json.dumps(body).encode(), 43)
    endpoints = read(json.dumps(body).encode(), 47)[0].networking.endpoints_config
    assert endpoints
    assert endpoints["x"]
    assert endpoints["x"].gw_priority == 0


def test_mac_address() -> None:
    body = json.dumps({"Image": "a", "MacAddress": "02:00:00:00:00:01"}).encode()
    with pytest.raises(InvalidArgument, match="container-wide MAC address no longer supported"):
        read(body, 52)
    found, warnings = read(body, 51)
    endpoints = found.networking.endpoints_config
    assert endpoints
    assert endpoints["bridge"]
    assert endpoints["bridge"].mac_address == "02:00:00:00:00:01"
    assert "deprecated" in warnings[0]
    assert read(body, 43)[1] == []


def test_sysctls_of_an_interface() -> None:
    sysctls = {"net.ipv4.conf.eth0.log_martians": "1", "net.core.somaxconn": "5"}
    assert "must be supplied using driver option" in refuse(48, Sysctls=sysctls)
    found = wish(47, Sysctls=dict(sysctls))
    assert found.host.sysctls == {"net.core.somaxconn": "5"}
    endpoints = found.networking.endpoints_config
    assert endpoints
    assert endpoints["bridge"]
    assert endpoints["bridge"].driver_opts == {
        "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1"
    }


def test_empty_port_bindings() -> None:
    body = json.dumps({"Image": "a", "HostConfig": {"PortBindings": {"80/tcp": []}}}).encode()
    found, warnings = read(body, 56)
    assert found.host.port_bindings
    assert len(found.host.port_bindings["80/tcp"] or ()) == 1
    assert "80/tcp" in warnings[0]
    assert read(body, 51)[1] == []
