"""What a wish is refused for before anything is made, and what is written into it."""

from __future__ import annotations

from typing import Any

import pytest

from lodge.engine.planning import checks
from lodge.engine.settings import ForeignRuntime, Settings
from lodge.errors import InvalidArgument, LodgeError, Unsupported
from lodge.spec.container import (
    DeviceMapping,
    DeviceRequest,
    HealthCheck,
    RestartPolicy,
    Ulimit,
)
from tests.unit.engine.samples import facts, wish

SETTINGS = Settings(runtimes={"crun": ForeignRuntime("/usr/bin/crun")})


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (InvalidArgument, {"ipc_mode": "odd"}, "invalid IPC mode: odd"),
        (InvalidArgument, {"pid_mode": "odd"}, "invalid PID mode: odd"),
        (InvalidArgument, {"uts_mode": "odd"}, "invalid UTS mode: odd"),
        (InvalidArgument, {"cgroupns_mode": "odd"}, "invalid cgroup namespace mode: odd"),
        (InvalidArgument, {"shm_size": -1}, "SHM size can not be less than 0"),
        (InvalidArgument, {"oom_score_adj": 1001}, "Invalid value 1001, range for oom score adj"),
        (InvalidArgument, {"runtime": "kata"}, "unknown or invalid runtime name: kata"),
        (InvalidArgument, {"cap_add": ["SYS_FLY"]}, 'invalid CapAdd: unknown capability: "CAP_SYS_FLY"'),
        (InvalidArgument, {"security_opt": ["odd"]}, 'invalid --security-opt 1: "odd"'),
        (InvalidArgument, {"security_opt": ["a=b"]}, 'invalid --security-opt 2: "a=b"'),
        (InvalidArgument, {"ulimits": [Ulimit(name="odd")]}, "invalid ulimit type: odd"),
        (
            InvalidArgument,
            {"ulimits": [Ulimit(name="nofile", soft=5, hard=4)]},
            "ulimit soft limit must be less than or equal to hard limit: 5 > 4",
        ),
        (
            InvalidArgument,
            {"restart_policy": RestartPolicy(name="often")},
            "invalid restart policy: unknown policy 'often'; use one of 'no', 'always', 'on-failure'",
        ),
        (
            InvalidArgument,
            {"restart_policy": RestartPolicy(name="always", maximum_retry_count=3)},
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        (
            InvalidArgument,
            {"auto_remove": True, "restart_policy": RestartPolicy(name="always")},
            "can't create 'AutoRemove' container with restart policy",
        ),
        (InvalidArgument, {"port_bindings": {"99999/tcp": None}}, "invalid port specification"),
        (InvalidArgument, {"extra_hosts": ["name"]}, 'bad format for add-host: "name"'),
        (InvalidArgument, {"extra_hosts": ["a:1.2.3"]}, 'invalid IP address in add-host: "1.2.3"'),
        (InvalidArgument, {"sysctls": {"kernel.panic": "1"}}, 'sysctl "kernel.panic" is not in a separate'),
        (
            InvalidArgument,
            {"sysctls": {"net.core.somaxconn": "1"}, "network_mode": "host"},
            'sysctl "net.core.somaxconn" not allowed in host network namespace',
        ),
        (
            InvalidArgument,
            {"device_cgroup_rules": ["c 1:3"]},
            "invalid device cgroup rule format: 'c 1:3'",
        ),
        (
            InvalidArgument,
            {"devices": [DeviceMapping(path_on_host="/dev/null", cgroup_permissions="rx")]},
            "bad format for device cgroup permissions: rx",
        ),
        (InvalidArgument, {"annotations": {"": "x"}}, "invalid Annotations"),
        (
            InvalidArgument,
            {"isolation": "hyperv"},
            "invalid isolation (hyperv): linux only supports 'default'",
        ),
        (
            Unsupported,
            {"device_requests": [DeviceRequest(driver="nvidia", capabilities=[["gpu"]])]},
            'could not select device driver "nvidia" with capabilities: [[gpu]]',
        ),
        (Unsupported, {"security_opt": ["apparmor=x"]}, "apparmor profile 'x' was asked for"),
        (Unsupported, {"security_opt": ["label=type:x"]}, "SELinux labels were asked for"),
        (Unsupported, {"storage_opt": {"size": "1g"}}, "storage options"),
    ],
)
def test_refused_of_the_host_part(kind: type[LodgeError], given: dict[str, Any], words: str) -> None:
    with pytest.raises(kind) as caught:
        checks.check(wish(**given), SETTINGS, facts())
    assert caught.value.message.startswith(words)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"working_dir": "x"}, "the working directory 'x' is invalid, it needs to be an absolute path"),
        ({"stop_signal": "SIGODD"}, "invalid signal: SIGODD"),
        ({"env": ["=x"]}, "invalid environment variable: =x"),
        ({"hostname": "x" * 64}, f'hostname "{"x" * 64}" is too long (maximum 63 bytes)'),
        ({"healthcheck": HealthCheck(interval=5)}, "Interval in Healthcheck cannot be less than 1ms"),
        ({"healthcheck": HealthCheck(retries=-1)}, "Retries in Healthcheck cannot be negative"),
    ],
)
def test_refused_of_the_images_part(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        checks.check(wish(config=given), SETTINGS, facts())
    assert caught.value.message.startswith(words)


def test_defaults_are_written_as_inspect_shows_them() -> None:
    one = wish(memory=64 << 20, config={"working_dir": "/a/../b"})
    warnings = checks.check(one, SETTINGS, facts())
    assert warnings == []
    host = one.host
    assert (host.network_mode, host.ipc_mode, host.cgroupns_mode) == ("default", "private", "host")
    assert (host.runtime, host.shm_size, host.restart_policy.name) == ("runc", 64 << 20, "no")
    assert (host.memory_swap, host.oom_kill_disable) == (128 << 20, False)
    assert host.masked_paths
    assert "/proc/kcore" in host.masked_paths
    assert host.readonly_paths
    assert one.config.working_dir == "/b"


def test_privileged_opens_what_is_masked() -> None:
    one = wish(privileged=True, network_mode="none")
    assert checks.check(one, SETTINGS, facts()) == []
    assert (one.host.masked_paths, one.host.readonly_paths) == ([], [])
    assert one.host.cgroupns_mode == "host"


def test_what_is_said_stays_and_the_engines_ulimits_fill_in() -> None:
    settings = Settings(ulimits=[Ulimit(name="nofile", soft=1, hard=2), Ulimit(name="nproc", soft=3, hard=4)])
    mine = Ulimit(name="nofile", soft=9, hard=9)
    one = wish(
        ulimits=[mine], network_mode="host", masked_paths=["/x"], security_opt=["systempaths=unconfined"]
    )
    checks.check(one, settings, facts())
    assert one.host.ulimits == [mine, Ulimit(name="nproc", soft=3, hard=4)]
    assert one.host.masked_paths == ["/x"]
    assert one.host.readonly_paths == []
