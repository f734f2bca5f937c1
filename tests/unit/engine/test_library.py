"""The library's public names, its arguments, and the collecting of output."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lodge
from lodge.engine.library.archives import unframed
from lodge.engine.library.asynchronous import settings_for
from lodge.engine.library.capture import Capture
from lodge.engine.library.results import ProgramFailed, RunResult
from lodge.engine.library.wishes import Options, size, wish, words
from lodge.errors import InvalidArgument
from lodge.spec.container import DeviceMapping, EndpointSettings, MountPoint, PortBinding, RestartPolicy
from lodge.spec.streams import frame


def test_every_public_name_is_there() -> None:
    assert lodge.__all__ == sorted(lodge.__all__)
    assert set(lodge.__all__) == set(lodge._HOMES)
    for name in lodge.__all__:
        assert getattr(lodge, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lodge.nothing


def test_importing_costs_nothing() -> None:
    source = str(Path(lodge.__file__).parent.parent)
    script = (
        f"import sys; sys.path.insert(0, {source!r}); before = set(sys.modules); import lodge; "
        "print(sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-ISc", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['__future__', 'lodge']"


def test_a_wish_of_everything() -> None:
    options: Options = {
        "env": {"A": "b"},
        "workdir": "/w",
        "user": "u",
        "hostname": "h",
        "entrypoint": "e",
        "memory": "64m",
        "cpus": 1.5,
        "pids": 9,
        "network": "host",
        "mounts": ["/a:/b:ro", MountPoint(type="tmpfs", target="/t")],
        "tmpfs": ["/x"],
        "tty": True,
        "read_only": True,
        "cap_add": ["NET_ADMIN"],
        "devices": ["/dev/null:/dev/zero:r"],
        "restart": "on-failure:3",
        "init": True,
    }
    made = wish("busybox", "echo hi", options, stdin=True, keep_log=False)
    config, host = made.config, made.host
    assert (config.cmd, config.env, config.entrypoint) == (["/bin/sh", "-c", "echo hi"], ["A=b"], ["e"])
    assert (config.working_dir, config.user, config.hostname, config.tty) == ("/w", "u", "h", True)
    assert (config.open_stdin, config.stdin_once) == (True, True)
    assert (host.memory, host.nano_cpus, host.pids_limit) == (64 << 20, 1_500_000_000, 9)
    assert (host.network_mode, host.binds, host.tmpfs) == ("host", ["/a:/b:ro"], {"/x": ""})
    assert host.mounts == [MountPoint(type="tmpfs", target="/t")]
    assert host.devices == [
        DeviceMapping(path_on_host="/dev/null", path_in_container="/dev/zero", cgroup_permissions="r")
    ]
    assert host.restart_policy == RestartPolicy(name="on-failure", maximum_retry_count=3)
    assert (host.readonly_rootfs, host.cap_add, host.init) == (True, ["NET_ADMIN"], True)
    assert host.log_config.type == "none"


def test_the_default_has_no_network_and_keeps_its_log() -> None:
    made = wish("busybox", ["true"], {}, stdin=False, keep_log=True)
    assert made.host.network_mode == "none"
    assert made.host.log_config.type == ""


def test_ports_and_names_in_a_network() -> None:
    options: Options = {
        "network": "shop",
        "aliases": ["db"],
        "ports": {80: 8080, "53/udp": ("127.0.0.1", 5353), "81": None},
    }
    found = wish("busybox", None, options, stdin=False, keep_log=True)
    assert found.host.port_bindings == {
        "80/tcp": [PortBinding(host_port="8080")],
        "53/udp": [PortBinding(host_ip="127.0.0.1", host_port="5353")],
        "81/tcp": [PortBinding()],
    }
    assert set(found.config.exposed_ports or ()) == {"80/tcp", "53/udp", "81/tcp"}
    endpoints = found.networking.endpoints_config or {}
    assert (endpoints["shop"] or EndpointSettings()).aliases == ["db"]


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="unknown option 'colour'"):
        wish("busybox", None, {"colour": "red"}, stdin=False, keep_log=True)  # type: ignore[typeddict-unknown-key]


@pytest.mark.parametrize(
    ("text", "number"), [(None, 0), (5, 5), ("5", 5), ("1k", 1024), ("1.5 GiB", 3 << 29)]
)
def test_sizes(text: int | str | None, number: int) -> None:
    assert size(text) == number


@pytest.mark.parametrize("text", ["", "many", "5x", "-5"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid size"):
        size(text)


def test_commands() -> None:
    assert words(None) is None
    assert words("a b") == ["/bin/sh", "-c", "a b"]
    assert words(("a", "b")) == ["a", "b"]


def test_another_root_has_its_own_place_in_run() -> None:
    assert settings_for(None, None).exec_root == "/run/lodge"
    other = settings_for("/tmp/x", None)
    assert other.exec_root.startswith("/run/lodge-")
    assert other.exec_root == settings_for("/tmp/../tmp/x", None).exec_root
    assert other.cgroup_parent != "/lodge"


def test_results() -> None:
    good = RunResult(exit_code=0, stdout=b"caf\xc3\xa9\xff")
    assert good.check() is good
    assert good.text == "café\N{REPLACEMENT CHARACTER}"
    with pytest.raises(ProgramFailed) as caught:
        RunResult(exit_code=2, stderr=b"one\ntwo\n").check()
    assert caught.value.message == "the program ended with exit code 2: two"
    assert caught.value.result.exit_code == 2


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_frames_are_taken_apart_however_they_come(step: int) -> None:
    data = frame(1, b"out") + frame(2, b"err") + frame(1, b"") + frame(1, b"more")

    async def scenario() -> Capture:
        capture = Capture(framed=True, stdin=b"in")
        fd, _ = capture.take()
        collecting = asyncio.ensure_future(capture.run())
        loop = asyncio.get_running_loop()
        for start in range(0, len(data), step):
            await loop.run_in_executor(None, os.write, fd, data[start : start + step])
        assert os.read(fd, 10) == b"in"
        os.close(fd)
        await collecting
        return capture

    capture = asyncio.run(asyncio.wait_for(scenario(), 5))
    assert (bytes(capture.stdout), bytes(capture.stderr)) == (b"outmore", b"err")
    assert unframed(data) == b"outerrmore"
