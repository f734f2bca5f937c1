"""Limits: Docker's checks, and what a control group is told."""

from __future__ import annotations

from typing import Any

import pytest

from lodge.engine.planning import limits
from lodge.errors import InvalidArgument
from lodge.spec.container import Limits, ThrottleDevice, WeightDevice
from lodge.spec.runtime import Cpu, Memory, Pids, Resources
from tests.unit.engine.samples import facts


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"memory": 1024}, "Minimum memory limit allowed is 6MB"),
        (
            {"memory": 64 << 20, "memory_swap": 32 << 20},
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            {"memory_swap": 64 << 20},
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        ({"memory_swappiness": 101}, "Invalid value: 101, valid memory swappiness range is 0-100"),
        ({"memory_reservation": 1024}, "Minimum memory reservation allowed is 6MB"),
        (
            {"memory": 16 << 20, "memory_reservation": 32 << 20},
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (
            {"nano_cpus": 1, "cpu_period": 5000},
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        (
            {"nano_cpus": 1, "cpu_quota": 5000},
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ),
        (
            {"nano_cpus": 5 * 10**9},
            "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available",
        ),
        (
            {"cpu_period": 10},
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        ({"cpu_quota": 10}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        ({"cpu_shares": -1}, "invalid CPU shares (-1): value must be a positive integer"),
        ({"cpuset_cpus": "0-7"}, "Requested CPUs are not available - requested 0-7, available: 0-3"),
        ({"cpuset_mems": "3"}, "Requested memory nodes are not available - requested 3, available: 0"),
        ({"cpuset_cpus": "3-1"}, "Invalid value 3-1 for cpuset cpus: invalid format: 3-1"),
        ({"cpuset_cpus": "zero"}, "Invalid value zero for cpuset cpus"),
        ({"blkio_weight": 5}, "Range of blkio weight is from 10 to 1000"),
        ({"cpu_realtime_runtime": 5}, "Your kernel does not support CPU real-time scheduler"),
        ({"io_maximum_iops": 5}, "Invalid QoS settings"),
    ],
)
def test_what_docker_refuses(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        limits.check(Limits(**given), facts())
    assert caught.value.message.startswith(words)


def test_what_the_kernel_can_not_do_is_discarded_with_a_warning() -> None:
    wanted = Limits(memory=64 << 20, pids_limit=5, cpuset_cpus="0", blkio_weight=10, cpu_percent=5)
    poor = facts(controllers=frozenset({"cpu"}), blkio_weight=False)
    warnings = limits.check(wanted, poor)
    assert len(warnings) == 5
    assert all("iscarded" in warning for warning in warnings)
    assert (wanted.memory, wanted.pids_limit, wanted.cpuset_cpus, wanted.blkio_weight) == (0, None, "", 0)


def test_version_2_knows_no_swappiness_and_no_oom_switch() -> None:
    wanted = Limits(memory=64 << 20, memory_swappiness=10, oom_kill_disable=True)
    warnings = limits.check(wanted, facts(cgroup_version=2))
    assert len(warnings) == 2
    assert (wanted.memory_swappiness, wanted.oom_kill_disable) == (None, None)


def test_a_switched_off_killer_without_a_limit_is_warned_of() -> None:
    (warning,) = limits.check(Limits(oom_kill_disable=True), facts())
    assert warning.startswith("OOM killer is disabled for the container, but no memory limit is set")


def test_nothing_asked_is_nothing_told() -> None:
    assert limits.resources(Limits()) == Resources()


def test_all_figures_reach_the_group() -> None:
    told = limits.resources(
        Limits(
            memory=64 << 20,
            memory_swap=-1,
            memory_reservation=32 << 20,
            nano_cpus=1_500_000_000,
            cpu_shares=512,
            cpuset_cpus="0-1",
            pids_limit=0,
        )
    )
    assert told.memory == Memory(limit=64 << 20, swap=-1, reservation=32 << 20)
    assert told.cpu == Cpu(quota=150_000, period=100_000, shares=512, cpus="0-1")
    assert told.pids == Pids(limit=-1)
    assert told.block_io is None


def test_a_device_must_be_a_block_device() -> None:
    with pytest.raises(InvalidArgument, match="/dev/null is not a block device"):
        limits.resources(Limits(blkio_device_read_bps=[ThrottleDevice(path="/dev/null", rate=1)]))
    with pytest.raises(InvalidArgument, match="invalid block device /nonexistent"):
        limits.resources(Limits(blkio_weight_device=[WeightDevice(path="/nonexistent", weight=10)]))


@pytest.mark.parametrize(
    ("text", "numbers"), [("", set()), ("0", {0}), ("0-2,7", {0, 1, 2, 7}), ("3,3", {3})]
)
def test_lists(text: str, numbers: set[int]) -> None:
    assert limits.parse_list(text) == numbers
