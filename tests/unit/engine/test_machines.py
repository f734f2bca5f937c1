"""Which containers live in machines, and what makes no sense for them."""

from typing import Any

import pytest

from lodge.engine.planning import machines
from lodge.errors import InvalidArgument, Unsupported
from lodge.spec.container import DeviceMapping, HostConfig


@pytest.mark.parametrize(
    "options", [{"isolation": "vm"}, {"runtime": "vm"}, {"isolation": "vm", "runtime": "vm"}]
)
def test_a_machine_is_asked_for_by_isolation_or_runtime(options: dict[str, Any]) -> None:
    host = HostConfig(**options)
    machines.check(host)
    assert machines.wanted(host)


def test_others_are_left_alone() -> None:
    for isolation in ("", "default", "process"):
        host = HostConfig(isolation=isolation, pid_mode="host")
        machines.check(host)
        assert not machines.wanted(host)
    with pytest.raises(InvalidArgument, match=r"invalid isolation \(hyperv\)"):
        machines.check(HostConfig(isolation="hyperv"))
    with pytest.raises(InvalidArgument, match="conflicting"):
        machines.check(HostConfig(isolation="vm", runtime="crun"))


@pytest.mark.parametrize(
    "options",
    [
        {"pid_mode": "host"},
        {"pid_mode": "container:x"},
        {"ipc_mode": "host"},
        {"uts_mode": "host"},
        {"userns_mode": "host"},
        {"cgroupns_mode": "host"},
        {"network_mode": "host"},
        {"network_mode": "container:x"},
        {"devices": [DeviceMapping(path_on_host="/dev/fuse")]},
        {"cpuset_mems": "0"},
    ],
)
def test_what_means_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(Unsupported, match="kernel of its own"):
        machines.check(HostConfig(isolation="vm", **options))
    machines.check(HostConfig(**options))


def test_a_running_machine_gets_no_further_network() -> None:
    machines.check_rewiring(HostConfig())
    with pytest.raises(Unsupported, match="further networks"):
        machines.check_rewiring(HostConfig(isolation="vm"))
