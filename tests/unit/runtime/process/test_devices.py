"""Rules and nodes of devices, before anything is made."""

import pytest

from lodge.errors import InvalidArgument
from lodge.kernel.cgroups.devices import reduce_rules
from lodge.runtime.process.devices import DEFAULT_DEVICES, MakeDevice, granted, plan_devices
from lodge.spec.runtime import Device, DeviceRule, Linux, RuntimeConfig


def config(*devices: Device) -> RuntimeConfig:
    return RuntimeConfig(oci_version="1.2.1", linux=Linux(devices=list(devices)))


def nodes(made: RuntimeConfig) -> dict[str, MakeDevice]:
    return {node.path: node for node in plan_devices(made) if isinstance(node, MakeDevice)}


def test_what_every_container_may_use() -> None:
    rules = granted([DeviceRule(allow=False, access="rwm")])
    assert rules[0] == DeviceRule(allow=False, access="rwm")
    allowed = {(rule.type, rule.major, rule.minor) for rule in rules[1:]}
    assert {("c", device.major, device.minor) for device in DEFAULT_DEVICES} <= allowed
    assert {("c", 5, 2), ("c", 136, None)} <= allowed
    assert not reduce_rules(rules).allow


def test_all_that_was_granted_stays_granted() -> None:
    assert reduce_rules(granted([DeviceRule(allow=True, access="rwm")])).allow


def test_a_device_of_the_config_wins_over_a_default_one() -> None:
    own = Device(path="/dev/../dev/null", type="c", major=1, minor=3, file_mode=0o600, uid=7)
    assert nodes(config(own))["/dev/null"].mode & 0o777 == 0o600
    assert nodes(config(own))["/dev/null"].uid == 7


def test_the_multiplexer_is_always_a_link() -> None:
    assert "/dev/ptmx" not in nodes(config(Device(path="/dev/ptmx", type="c", major=5, minor=2)))


@pytest.mark.parametrize("device", [Device(path="/dev/x", type="s"), Device(path="x", type="c")])
def test_nodes_that_can_not_be(device: Device) -> None:
    with pytest.raises(InvalidArgument):
        plan_devices(config(device))
